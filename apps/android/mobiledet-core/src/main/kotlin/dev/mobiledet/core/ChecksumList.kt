package dev.mobiledet.core

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException

/** SHA256SUMS in the format of coreutils: one line for each file of a bundle except itself. */
internal object ChecksumList {
    const val NAME = "SHA256SUMS"

    // no control character in a path, which also excludes Windows line ends
    private val LINE = Regex("([0-9a-f]{64})  ([^\\u0000-\\u001f\\u007f]+)")

    /** Parses the checksum of each path; throws [IllegalArgumentException] if a line is malformed. */
    fun parse(content: ByteArray): Map<String, String> {
        val text = try {
            Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString()
        } catch (error: CharacterCodingException) {
            throw IllegalArgumentException("it is not UTF-8", error)
        }
        require(text.isEmpty() || text.endsWith("\n")) { "its last line is incomplete" }
        val checksums = LinkedHashMap<String, String>()
        text.split("\n").dropLast(1).forEachIndexed { index, line ->
            val (sha256, path) = LINE.matchEntire(line)?.destructured
                ?: throw IllegalArgumentException("line ${index + 1} is not a checksum and a path")
            require(path != NAME && checksums.put(path, sha256) == null) { "it lists $path twice, or itself" }
        }
        return checksums
    }
}
