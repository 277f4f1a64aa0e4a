package dev.mobiledet.core

import java.io.File
import java.io.IOException
import java.nio.file.Files
import java.nio.file.StandardCopyOption

private const val CURRENT = "current"
private val NAME = Regex("(0|[1-9][0-9]{0,15})-([0-9a-f]{64})")

/**
 * The models that an app installs at run time: the one in use and the one before it, each an unpacked bundle.
 *
 * A new model is used only after its signature, every checksum and its golden cases have been verified; the old one stays until
 * then, and after any failure. Only one process may use a folder. Methods may be called by any thread.
 *
 * @param folder a folder of the app for models alone.
 * @param publicKeys as in [SignatureVerifier].
 * @param builtIn release of the bundle that is built into the app: only newer ones are installed and used.
 */
public class ModelStore @JvmOverloads constructor(
    private val folder: File,
    publicKeys: List<String>,
    private val builtIn: Long = -1,
) {
    /** An installed model: number of its release, checksum of its zip, and folder of its bundle. */
    public data class Installed(val release: Long, val sha256: String, val folder: File)

    private val verifier = SignatureVerifier(publicKeys)

    /** The model to use, or null if none is installed that is newer than the built-in one. */
    @Synchronized
    public fun current(): Installed? = listed().firstOrNull()?.takeIf { it.release > builtIn }

    /** The model that was in use before, or null. */
    @Synchronized
    public fun previous(): Installed? = listed().getOrNull(1)

    /** Opens the model to use and verifies its files; null as in [current]. Throws [MobileDetException] if it is damaged. */
    @Synchronized
    public fun open(): Bundle? = current()?.let { Bundle.open(it.folder) }

    /** Verifies a signature, before anything is downloaded. Throws [MobileDetException] if it is malformed or not of this app. */
    public fun verify(signature: ByteArray): SignedFile = verifier.verify(signature)

    /** Whether a release is newer than the model in use. */
    @Synchronized
    public fun isNewer(signed: SignedFile): Boolean = signed.release > newest()

    private fun newest() = current()?.release ?: builtIn

    /**
     * Installs a downloaded model and uses it from now on.
     *
     * @param signature content of the file NAME.sig.
     * @param zip the downloaded zip; nothing of it is read before its signature has been verified.
     * @param allowOlder accept a release that is only newer than the built-in one, for a deliberate return to an older model.
     * @param gate loads the bundle on this device and throws if it does not reproduce the golden cases, such as
     *     `Detector.open(it).use { detector -> detector.check() }`.
     * @throws MobileDetException as in [verify], or the release is not newer, the file is not the signed one, or damaged, or as [gate]. The
     *     model in use has not changed then.
     */
    @JvmOverloads
    @Synchronized
    public fun install(signature: ByteArray, zip: File, allowOlder: Boolean = false, gate: (Bundle) -> Unit): Bundle {
        val signed = verify(signature)
        val least = if (allowOlder) builtIn else newest()
        if (signed.release <= least) {
            throw MobileDetException("release ${signed.release} is not newer than release $least, which is in use")
        }
        if (zip.length() != signed.bytes || Checksum.of(zip) != signed.sha256) {
            throw MobileDetException("the downloaded file is not the signed one: it is incomplete or has been changed")
        }
        val target = Installed(signed.release, signed.sha256, File(folder, "${signed.release}-${signed.sha256}"))
        val before = listed()
        if (target in before) throw MobileDetException("release ${signed.release} is installed already; rollback returns to it")
        removeOthers(before)
        folder.mkdirs()
        try {
            gate(Bundle.unpack(zip, target.folder))
            use(listOf(target) + before.take(1))
        } catch (error: Exception) {
            target.folder.deleteRecursively()
            throw error
        }
        removeOthers(listed())
        return Bundle.open(target.folder)
    }

    /** Uses the previous model again and removes the current one; null if there is none. */
    @Synchronized
    public fun rollback(): Installed? {
        val previous = previous() ?: return null
        use(listOf(previous))
        removeOthers(listed())
        return previous
    }

    /** Removes all models; the app uses the built-in one. */
    @Synchronized
    public fun clear() {
        use(emptyList())
        removeOthers(emptyList())
    }

    /** The models in use and before; none if the list is missing or damaged, so that the app uses the built-in model. */
    private fun listed(): List<Installed> {
        val file = File(folder, CURRENT)
        val lines = try {
            if (file.isFile) file.readText().removeSuffix("\n").split("\n") else emptyList()
        } catch (_: IOException) {
            emptyList()
        }
        return lines.map { line ->
            val (release, sha256) = NAME.matchEntire(line)?.destructured ?: return emptyList()
            Installed(release.toLong(), sha256, File(folder, line))
        }
    }

    /** Writes the list under another name, which then replaces the old one at once. */
    private fun use(models: List<Installed>) {
        val written = File(folder, "$CURRENT.new")
        try {
            written.outputStream().use { out ->
                out.write(models.joinToString("") { "${it.folder.name}\n" }.toByteArray())
                out.fd.sync()
            }
            Files.move(written.toPath(), File(folder, CURRENT).toPath(), StandardCopyOption.ATOMIC_MOVE)
        } catch (error: IOException) {
            throw MobileDetException("cannot write $folder; is the device's storage full?", error)
        }
    }

    /** Removes models that are no longer used, and what interrupted installations left. */
    private fun removeOthers(kept: List<Installed>) {
        val names = kept.map { it.folder.name } + CURRENT
        folder.listFiles().orEmpty().filter { it.name !in names }.forEach { it.deleteRecursively() }
    }
}
