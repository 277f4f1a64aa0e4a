package dev.mobiledet.core

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonPrimitive
import java.io.File
import java.io.InputStream
import java.security.MessageDigest

private const val BLOCK_BYTES = 1 shl 16

/** SHA-256 in lower-case hex. */
internal object Checksum {
    fun of(content: ByteArray): String = hex(MessageDigest.getInstance("SHA-256").digest(content))

    fun of(stream: InputStream): String {
        val digest = MessageDigest.getInstance("SHA-256")
        val block = ByteArray(BLOCK_BYTES)
        while (true) {
            val count = stream.read(block)
            if (count < 0) return hex(digest.digest())
            digest.update(block, 0, count)
        }
    }

    /** Of a file, or of a folder by the sorted list of its files' paths and checksums. */
    fun of(path: File): String {
        if (path.isFile) return path.inputStream().use { of(it) }
        val files = path.walkTopDown().filter { it.isFile }.map { it.relativeTo(path).invariantSeparatorsPath to it }
        // as Python sorts paths: part by part
        val sorted = files.sortedWith { (a, _), (b, _) -> compareParts(a.split('/'), b.split('/')) }
        val listing = sorted.joinToString("") { (name, file) -> "$name\u0000${of(file)}\n" }
        return of(listing.toByteArray())
    }

    /** What bundle.json holds of its own content: of the object without "sha256" as Python's json.dumps writes it. */
    fun ofListing(listing: JsonObject): String {
        val content = listing.deepCopy().apply { remove("sha256") }
        return of(StringBuilder().also { writeSorted(content, it) }.toString().toByteArray())
    }

    private fun compareParts(a: List<String>, b: List<String>): Int {
        for (index in 0 until minOf(a.size, b.size)) {
            val order = compareCodePoints(a[index], b[index])
            if (order != 0) return order
        }
        return a.size - b.size
    }

    private fun writeSorted(value: JsonElement, out: StringBuilder) {
        when (value) {
            is JsonObject -> {
                val names = value.keySet().sortedWith(::compareCodePoints)
                names.joinTo(out, ", ", "{", "}") { name ->
                    StringBuilder().also { writeText(name, it); it.append(": "); writeSorted(value.get(name), it) }
                }
            }
            is JsonArray -> value.joinTo(out, ", ", "[", "]") { StringBuilder().also { inner -> writeSorted(it, inner) } }
            is JsonPrimitive -> if (value.isString) writeText(value.asString, out) else out.append(value.asString)
            else -> out.append("null")
        }
    }

    private fun writeText(text: String, out: StringBuilder) {
        out.append('"')
        for (character in text) {
            when (character) {
                '"' -> out.append("\\\"")
                '\\' -> out.append("\\\\")
                '\n' -> out.append("\\n")
                '\r' -> out.append("\\r")
                '\t' -> out.append("\\t")
                '\b' -> out.append("\\b")
                '\u000c' -> out.append("\\f")
                in ' '..'~' -> out.append(character)
                else -> out.append("\\u").append(character.code.toString(16).padStart(4, '0'))
            }
        }
        out.append('"')
    }

    /** Order of code points, which above U+FFFF is not that of UTF-16. */
    private fun compareCodePoints(a: String, b: String): Int {
        val (left, right) = listOf(a, b).map { it.codePoints().toArray() }
        for (index in 0 until minOf(left.size, right.size)) {
            if (left[index] != right[index]) return left[index].compareTo(right[index])
        }
        return left.size - right.size
    }

    private fun hex(digest: ByteArray) = digest.joinToString("") { ((it.toInt() and 0xff) + 0x100).toString(16).drop(1) }
}
