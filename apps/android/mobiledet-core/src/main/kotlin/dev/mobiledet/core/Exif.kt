package dev.mobiledet.core

import java.nio.BufferUnderflowException
import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val ORIENTATION_TAG = 0x0112
private const val TIFF_MAGIC = 42
private const val JPEG_START = 0xffd8
private const val JPEG_APP1 = 0xe1
private const val JPEG_SCAN = 0xda
private const val PNG_HEAD = 8
private val EXIF_NAME = "Exif\u0000\u0000".toByteArray()
private val PNG_SIGNATURE = byteArrayOf(0x89.toByte(), 'P'.code.toByte(), 'N'.code.toByte(), 'G'.code.toByte())

/** Reads the EXIF orientation of a JPEG or PNG file. Android's own reader supports PNG only since version 11. */
public object Exif {
    /** The orientation of [file]; [Orientation.UPRIGHT] if it has none, or a damaged one. */
    @JvmStatic
    public fun orientation(file: ByteArray): Orientation = try {
        val value = tiff(file)?.let { orientationValue(it) } ?: 1
        Orientation.ofExif(value)
    } catch (_: BufferUnderflowException) {
        Orientation.UPRIGHT
    } catch (_: IndexOutOfBoundsException) {
        Orientation.UPRIGHT
    } catch (_: IllegalArgumentException) { // a position before the start or after the end
        Orientation.UPRIGHT
    }

    private fun tiff(file: ByteArray): ByteBuffer? {
        val buffer = ByteBuffer.wrap(file)
        if (file.size > PNG_HEAD && file.copyOf(PNG_SIGNATURE.size).contentEquals(PNG_SIGNATURE)) return tiffOfPng(buffer)
        if (file.size > 2 && buffer.uint16(0) == JPEG_START) return tiffOfJpeg(buffer)
        return null
    }

    private fun tiffOfJpeg(file: ByteBuffer): ByteBuffer? {
        var at = 2
        while (true) {
            val marker = file.get(at + 1).toInt() and 0xff
            if (file.get(at).toInt() and 0xff != 0xff || marker == JPEG_SCAN) return null
            val length = file.uint16(at + 2)
            val content = file.part(at + 4, length - 2)
            if (marker == JPEG_APP1 && content.startsWith(EXIF_NAME)) {
                return content.part(EXIF_NAME.size, content.limit() - EXIF_NAME.size)
            }
            at += 2 + length
        }
    }

    private fun tiffOfPng(file: ByteBuffer): ByteBuffer? {
        var at = PNG_HEAD
        while (true) {
            val length = file.getInt(at)
            val kind = file.part(at + 4, 4)
            if (kind.startsWith("eXIf".toByteArray())) return file.part(at + 8, length)
            if (kind.startsWith("IEND".toByteArray())) return null
            at = Math.addExact(at, Math.addExact(length, 12).also { require(it >= 12) })
        }
    }

    private fun orientationValue(tiff: ByteBuffer): Int? {
        val order = tiff.uint16(0)
        tiff.order(if (order == 0x4949) ByteOrder.LITTLE_ENDIAN else ByteOrder.BIG_ENDIAN)
        if (order != 0x4949 && order != 0x4d4d || tiff.uint16(2) != TIFF_MAGIC) return null
        val directory = tiff.getInt(4)
        for (index in 0 until tiff.uint16(directory)) {
            val entry = directory + 2 + 12 * index
            if (tiff.uint16(entry) == ORIENTATION_TAG) return tiff.uint16(entry + 8)
        }
        return null
    }

    private fun ByteBuffer.uint16(at: Int) = getShort(at).toInt() and 0xffff

    private fun ByteBuffer.startsWith(head: ByteArray) =
        limit() >= head.size && head.indices.all { get(it) == head[it] }

    private fun ByteBuffer.part(at: Int, length: Int): ByteBuffer {
        val part = duplicate()
        // as Buffer: the return type of these differs between the platforms
        (part as java.nio.Buffer).position(at)
        (part as java.nio.Buffer).limit(Math.addExact(at, length))
        return part.slice()
    }
}
