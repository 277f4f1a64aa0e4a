package dev.mobiledet.core

import java.io.Closeable
import java.io.EOFException
import java.io.File
import java.io.IOException
import java.io.OutputStream
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.CRC32
import java.util.zip.DataFormatException
import java.util.zip.Inflater

private const val END_SIGNATURE = 0x06054b50
private const val END_BYTES = 22
private const val LONG_LOCATOR_SIGNATURE = 0x07064b50
private const val LONG_LOCATOR_BYTES = 20
private const val LONG_END_SIGNATURE = 0x06064b50
private const val LONG_END_BYTES = 56
private const val ENTRY_SIGNATURE = 0x02014b50
private const val ENTRY_BYTES = 46
private const val LOCAL_SIGNATURE = 0x04034b50
private const val LOCAL_BYTES = 30
private const val LONG_EXTRA = 1
private const val UINT16 = 0xffff
private const val UINT32 = 0xffffffffL
private const val UNIX = 3
private const val FILE_TYPE = 0xf000
private const val SYMBOLIC_LINK = 0xa000
private const val ENCRYPTED = 1
private const val STORED = 0
private const val DEFLATED = 8
private const val MAX_ENTRIES = 100_000L
private const val BLOCK_BYTES = 1 shl 16

/**
 * A zip file, read by its central directory only.
 *
 * Java's own reader does not say whether an entry is a symbolic link, and may return more bytes than an entry declares; both
 * matter for untrusted bundles. Throws [IOException] if the file is not a zip or is damaged.
 */
internal class ZipArchive(path: File) : Closeable {
    /** A file in the directory: [size] is the unpacked size in bytes, [isLink] whether it is a symbolic link. */
    class Entry(
        val name: String,
        val size: Long,
        val isLink: Boolean,
        internal val method: Int,
        internal val crc: Long,
        internal val packedSize: Long,
        internal val headerAt: Long,
        internal val encrypted: Boolean,
    ) {
        val isFolder: Boolean get() = name.endsWith("/")
    }

    private val file = RandomAccessFile(path, "r")

    /** All entries, in the order of the directory. */
    val entries: List<Entry> = try {
        readDirectory()
    } catch (error: IOException) {
        file.close()
        throw error
    }

    /** Writes the content of an entry, at most as many bytes as it declares. */
    fun extract(entry: Entry, out: OutputStream) {
        if (entry.encrypted) throw IOException("${entry.name} is encrypted")
        val local = read(entry.headerAt, LOCAL_BYTES)
        if (local.getInt(0) != LOCAL_SIGNATURE) throw IOException("${entry.name} is not where the directory says")
        file.seek(entry.headerAt + LOCAL_BYTES + local.uint16(26) + local.uint16(28))
        val crc = CRC32()
        var written = 0L
        val keep = { block: ByteArray, count: Int ->
            written += count
            if (written > entry.size) throw IOException("${entry.name} is larger than the directory says")
            crc.update(block, 0, count)
            out.write(block, 0, count)
        }
        when (entry.method) {
            STORED -> copy(entry.packedSize, keep)
            DEFLATED -> inflate(entry, keep)
            else -> throw IOException("${entry.name} is compressed by the unknown method ${entry.method}")
        }
        if (written != entry.size || crc.value != entry.crc) throw IOException("${entry.name} is damaged")
    }

    override fun close() = file.close()

    private fun readDirectory(): List<Entry> {
        val end = findEnd()
        var count = end.second.uint16(10).toLong()
        var start = end.second.uint32(16)
        if (count == UINT16.toLong() || start == UINT32) {
            val long = findLongEnd(end.first) ?: throw IOException("it has no directory")
            count = long.getLong(32)
            start = long.getLong(48)
        }
        if (count < 0 || count > MAX_ENTRIES || start < 0) throw IOException("its directory is impossible")
        val found = ArrayList<Entry>()
        var at = start
        repeat(count.toInt()) {
            val head = read(at, ENTRY_BYTES)
            if (head.getInt(0) != ENTRY_SIGNATURE) throw IOException("its directory is damaged")
            val lengths = listOf(28, 30, 32).map { head.uint16(it) }
            val rest = read(at + ENTRY_BYTES, lengths.sum()).array()
            found += entry(head, rest.copyOf(lengths[0]), rest.copyOfRange(lengths[0], lengths[0] + lengths[1]))
            at += ENTRY_BYTES + lengths.sum()
        }
        return found
    }

    private fun entry(head: ByteBuffer, name: ByteArray, extra: ByteArray): Entry {
        var size = head.uint32(24)
        var packed = head.uint32(20)
        var headerAt = head.uint32(42)
        longValues(extra)?.let { long ->
            // the values that do not fit in 32 bits, in this order
            if (size == UINT32) size = long.next()
            if (packed == UINT32) packed = long.next()
            if (headerAt == UINT32) headerAt = long.next()
        }
        if (minOf(size, packed, headerAt) < 0) throw IOException("its directory is impossible")
        val mode = if (head.uint16(4) shr 8 == UNIX) (head.uint32(38) shr 16).toInt() else 0
        return Entry(
            name = String(name, Charsets.UTF_8),
            size = size,
            isLink = mode and FILE_TYPE == SYMBOLIC_LINK,
            method = head.uint16(10),
            crc = head.uint32(16),
            packedSize = packed,
            headerAt = headerAt,
            encrypted = head.uint16(8) and ENCRYPTED != 0,
        )
    }

    private fun longValues(extra: ByteArray): LongValues? {
        val buffer = littleEndian(extra)
        while (buffer.remaining() >= 4) {
            val kind = buffer.short.toInt() and UINT16
            val length = buffer.short.toInt() and UINT16
            if (length > buffer.remaining()) throw IOException("its directory is damaged")
            if (kind == LONG_EXTRA) return LongValues(littleEndian(extra.copyOfRange(buffer.position(), buffer.position() + length)))
            buffer.position(buffer.position() + length)
        }
        return null
    }

    private class LongValues(private val buffer: ByteBuffer) {
        fun next(): Long = if (buffer.remaining() >= 8) buffer.long else throw IOException("its directory is damaged")
    }

    /** Position and content of the end record, which a comment may follow. */
    private fun findEnd(): Pair<Long, ByteBuffer> {
        val length = file.length()
        var at = length - END_BYTES
        while (at >= maxOf(0, length - END_BYTES - UINT16)) {
            val record = read(at, END_BYTES)
            if (record.getInt(0) == END_SIGNATURE && at + END_BYTES + record.uint16(20) == length) return at to record
            at--
        }
        throw IOException("it has no directory")
    }

    private fun findLongEnd(endAt: Long): ByteBuffer? {
        val at = endAt - LONG_LOCATOR_BYTES
        if (at < 0) return null
        val locator = read(at, LONG_LOCATOR_BYTES)
        if (locator.getInt(0) != LONG_LOCATOR_SIGNATURE) return null
        return read(locator.getLong(8), LONG_END_BYTES).takeIf { it.getInt(0) == LONG_END_SIGNATURE }
    }

    private fun copy(size: Long, keep: (ByteArray, Int) -> Unit) {
        val block = ByteArray(BLOCK_BYTES)
        var left = size
        while (left > 0) {
            val count = file.read(block, 0, minOf(left, BLOCK_BYTES.toLong()).toInt())
            if (count < 0) throw EOFException("it ends early")
            keep(block, count)
            left -= count
        }
    }

    private fun inflate(entry: Entry, keep: (ByteArray, Int) -> Unit) {
        val inflater = Inflater(true)
        try {
            val packed = ByteArray(BLOCK_BYTES)
            val block = ByteArray(BLOCK_BYTES)
            var left = entry.packedSize
            while (!inflater.finished()) {
                if (inflater.needsInput()) {
                    val count = file.read(packed, 0, minOf(left, BLOCK_BYTES.toLong()).toInt())
                    if (count <= 0) throw EOFException("${entry.name} ends early")
                    left -= count
                    inflater.setInput(packed, 0, count)
                }
                val count = inflater.inflate(block)
                if (count == 0 && inflater.needsDictionary()) throw IOException("${entry.name} is damaged")
                keep(block, count)
            }
        } catch (error: DataFormatException) {
            throw IOException("${entry.name} is damaged", error)
        } finally {
            inflater.end()
        }
    }

    private fun read(at: Long, count: Int): ByteBuffer {
        if (at < 0 || at > file.length() - count) throw EOFException("it ends early")
        val content = ByteArray(count)
        file.seek(at)
        file.readFully(content)
        return littleEndian(content)
    }

    private fun littleEndian(content: ByteArray) = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)

    private fun ByteBuffer.uint16(at: Int) = getShort(at).toInt() and UINT16

    private fun ByteBuffer.uint32(at: Int) = getInt(at).toLong() and UINT32
}
