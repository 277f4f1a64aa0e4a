package dev.mobiledet.android

import android.content.Context
import dev.mobiledet.core.Bundle
import dev.mobiledet.core.MobileDetException
import java.io.File
import java.io.IOException
import java.io.InputStream

private const val FOLDER = "bundles"
private const val SUFFIX = ".mobiledet"

/**
 * The bundles in an app's assets, each one zip in `assets/bundles`.
 *
 * @param names lists that folder.
 * @param read opens a file in it.
 * @param unpacked folder for unpacked bundles.
 * @param installed time when the app was installed or updated; its assets may have changed then.
 */
public class BundleAssets internal constructor(
    private val names: () -> List<String>,
    private val read: (String) -> InputStream,
    private val unpacked: File,
    private val installed: Long,
) {
    public constructor(context: Context) : this(
        names = { context.assets.list(FOLDER).orEmpty().toList() },
        read = { context.assets.open("$FOLDER/$it") },
        unpacked = File(context.filesDir, "mobiledet"),
        installed = context.packageManager.getPackageInfo(context.packageName, 0).lastUpdateTime,
    )

    /** File names of the bundles. */
    public fun list(): List<String> = names().filter { it.endsWith(SUFFIX) }.sorted()

    /**
     * Opens a bundle; it is unpacked the first time after each installation of the app.
     *
     * @throws MobileDetException the bundle is missing or damaged, or the phone's storage is full.
     */
    public fun open(asset: String): Bundle {
        val folder = File(unpacked, "$installed-$asset")
        if (folder.exists()) {
            try {
                return Bundle.open(folder)
            } catch (_: MobileDetException) { // changed since then: unpack it again
                folder.deleteRecursively()
            }
        }
        unpacked.mkdirs()
        unpacked.listFiles().orEmpty().filter { it.name.endsWith("-$asset") }.forEach { it.deleteRecursively() }
        val zip = File.createTempFile("bundle", ".zip", unpacked)
        try {
            read(asset).use { source -> zip.outputStream().use { source.copyTo(it) } }
            return Bundle.unpack(zip, folder)
        } catch (error: IOException) {
            val held = list().joinToString().ifEmpty { "none" }
            throw MobileDetException("no bundle '$asset' in the app's assets/$FOLDER; it contains: $held", error)
        } finally {
            zip.delete()
        }
    }
}
