package dev.mobiledet.core

import java.io.File
import java.io.InputStream
import java.security.MessageDigest

private const val BLOCK_BYTES = 1 shl 16

/** SHA-256 in lower-case hex. */
internal object Checksum {
    fun of(content: ByteArray): String = hex(MessageDigest.getInstance("SHA-256").digest(content))

    fun of(file: File): String = file.inputStream().use { of(it) }

    fun of(stream: InputStream): String {
        val digest = MessageDigest.getInstance("SHA-256")
        val block = ByteArray(BLOCK_BYTES)
        while (true) {
            val count = stream.read(block)
            if (count < 0) return hex(digest.digest())
            digest.update(block, 0, count)
        }
    }

    private fun hex(digest: ByteArray) = digest.joinToString("") { ((it.toInt() and 0xff) + 0x100).toString(16).drop(1) }
}
