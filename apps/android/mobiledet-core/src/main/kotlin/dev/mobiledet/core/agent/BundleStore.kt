package dev.mobiledet.core.agent

import dev.mobiledet.core.Bundle
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.ZipArchive
import java.io.File
import java.io.IOException
import java.util.UUID

private val CHECKSUM = Regex("[0-9a-f]{64}")

/**
 * The bundles uploaded to an agent, each an unpacked folder named by its checksum; [limitBytes] limits the unpacked size of
 * one bundle.
 *
 * A bundle that is removed while sessions use it is no longer available to new ones; its files are deleted when the last
 * session closes it.
 */
internal class BundleStore(private val folder: File, private val limitBytes: Long) {
    private val users = HashMap<String, Int>()
    private val removed = HashSet<String>()

    init {
        folder.mkdirs()
        // leftovers of an agent that was killed
        folder.listFiles().orEmpty().filter { it.name.startsWith(".") }.forEach { it.deleteRecursively() }
    }

    @Synchronized
    fun contains(sha256: String): Boolean = path(sha256).exists() && sha256 !in removed

    /** Stores a zipped bundle atomically; [receive] writes the zip. Returns whether it is new. */
    fun add(sha256: String, receive: (File) -> Unit): Boolean {
        val path = path(sha256)
        val work = ".${UUID.randomUUID()}"
        val zip = File(folder, "$work.zip")
        val unpacked = File(folder, work)
        try {
            receive(zip)
            checkFreeSpace(zip)
            val bundle = try {
                Bundle.unpack(zip, unpacked, limitBytes)
            } catch (error: MobileDetException) {
                error.cause?.let { if (it.isStorageFull) throw it }
                throw bad(error.message.replace(zip.name, "the bundle"))
            }
            if (bundle.sha256 != sha256) throw bad("the bundle's checksum is ${bundle.sha256}, not $sha256")
            synchronized(this) {
                if (path.exists()) return removed.remove(sha256)
                if (!unpacked.renameTo(path)) throw Refusal(507, "no_space", "the bundle cannot be stored on the device")
                return true
            }
        } finally {
            zip.delete()
            unpacked.deleteRecursively()
        }
    }

    /** The bundle with this checksum, verified again; [close] must be called when it is no longer needed. */
    fun open(sha256: String): Bundle {
        synchronized(this) {
            if (!contains(sha256)) throw Refusal(404, "unknown_bundle", "no bundle $sha256 is here; upload it first")
            users[sha256] = (users[sha256] ?: 0) + 1
        }
        try {
            return Bundle.open(path(sha256))
        } catch (error: MobileDetException) {
            close(sha256)
            throw bad(error.message)
        }
    }

    @Synchronized
    fun close(sha256: String) {
        val left = (users[sha256] ?: 1) - 1
        if (left > 0) users[sha256] = left else users.remove(sha256)
        if (left == 0 && removed.remove(sha256)) path(sha256).deleteRecursively()
    }

    /** Removes a bundle. */
    @Synchronized
    fun remove(sha256: String) {
        if (!contains(sha256)) throw Refusal(404, "unknown_bundle", "no bundle $sha256 is here")
        if (sha256 in users) removed += sha256 else path(sha256).deleteRecursively()
    }

    private fun checkFreeSpace(zip: File) {
        val bytes = try {
            ZipArchive(zip).use { archive -> archive.entries.map { it.size }.filter { it <= limitBytes }.sum() }
        } catch (_: IOException) { // unpacking reports what is wrong with it
            return
        }
        if (bytes in folder.usableSpace + 1..limitBytes) {
            throw Refusal(507, "no_space", "no room for $bytes bytes on the device")
        }
    }

    private fun path(sha256: String): File {
        if (!CHECKSUM.matches(sha256)) throw Refusal.badRequest("'${sha256.take(80)}' is not a SHA-256 in lower-case hex")
        return File(folder, sha256)
    }

    private fun bad(message: String) = Refusal(422, "bad_bundle", message)
}
