package dev.mobiledet.core.agent

import dev.mobiledet.core.Bundle
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.ZipArchive
import java.io.File
import java.io.IOException
import java.util.UUID

private val CHECKSUM = Regex("[0-9a-f]{64}")

/**
 * The bundles that an agent was given, each an unpacked folder named by its checksum; [limitBytes] is of one, unpacked.
 *
 * A bundle that is removed while sessions run it is gone for all others at once, its files when the last one closes it.
 */
internal class BundleStore(private val folder: File, private val limitBytes: Long) {
    private val users = HashMap<String, Int>()
    private val removed = HashSet<String>()

    init {
        folder.mkdirs()
        // what an agent that was killed left behind
        folder.listFiles().orEmpty().filter { it.name.startsWith(".") }.forEach { it.deleteRecursively() }
    }

    @Synchronized
    fun holds(sha256: String): Boolean = path(sha256).exists() && sha256 !in removed

    /** Keeps a zipped bundle, whole or not at all; [receive] writes the zip. Says whether it is new. */
    fun add(sha256: String, receive: (File) -> Unit): Boolean {
        val path = path(sha256)
        val work = ".${UUID.randomUUID()}"
        val zip = File(folder, "$work.zip")
        val unpacked = File(folder, work)
        try {
            receive(zip)
            refuseWithoutRoom(zip)
            val bundle = try {
                Bundle.unpack(zip, unpacked, limitBytes)
            } catch (error: MobileDetException) {
                error.cause?.let { if (it.isStorageFull) throw it }
                throw bad(error.message.replace(zip.name, "the bundle"))
            }
            if (bundle.sha256 != sha256) throw bad("the bundle's checksum is ${bundle.sha256}, not $sha256")
            synchronized(this) {
                if (path.exists()) return removed.remove(sha256)
                if (!unpacked.renameTo(path)) throw Refusal(507, "no_space", "the bundle cannot be kept on the device")
                return true
            }
        } finally {
            zip.delete()
            unpacked.deleteRecursively()
        }
    }

    /** The bundle of this checksum, verified anew; [close] says that it is not needed any more. */
    fun open(sha256: String): Bundle {
        synchronized(this) {
            if (!holds(sha256)) throw Refusal(404, "unknown_bundle", "no bundle $sha256 is here; upload it first")
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

    /** Forgets a bundle. */
    @Synchronized
    fun remove(sha256: String) {
        if (!holds(sha256)) throw Refusal(404, "unknown_bundle", "no bundle $sha256 is here")
        if (sha256 in users) removed += sha256 else path(sha256).deleteRecursively()
    }

    private fun refuseWithoutRoom(zip: File) {
        val bytes = try {
            ZipArchive(zip).use { archive -> archive.entries.map { it.size }.filter { it <= limitBytes }.sum() }
        } catch (_: IOException) { // unpacking tells what is wrong with it
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
