package dev.mobiledet.core

import com.google.gson.JsonElement
import java.io.File
import java.io.IOException

private const val LISTING = "bundle.json"
private const val GOLDEN = "golden/golden.json"
private val REQUIRED = listOf(LISTING, "labels.txt", GOLDEN)

/** Default limit for the unpacked size of a zip: 4 GiB. */
public const val MAX_UNPACKED_BYTES: Long = 4L shl 30

/**
 * A model file of a bundle.
 *
 * @property path relative to the bundle.
 * @property precision such as `float16`.
 * @property thresholds score threshold of each class, from its operating point; null if none is stored.
 * @property face interface of a Core ML package; empty for other formats.
 */
public data class ModelFile(
    val path: String,
    val format: String,
    val precision: String,
    val bytes: Long,
    val thresholds: List<Double>? = null,
    val face: String = "",
) {
    /** Whether a detection reaches [minScore]; if that is null, its class's threshold; without thresholds [DEFAULT_SCORE]. */
    public fun shows(label: Int, score: Float, minScore: Float? = null): Boolean =
        if (minScore != null) score >= minScore else score >= (thresholds?.get(label) ?: DEFAULT_SCORE)

    public companion object {
        /** Score threshold of bundles without an operating point. */
        public const val DEFAULT_SCORE: Double = 0.3
    }
}

/**
 * A bundle from `mobiledet export`, opened and verified: every file has its checksum from SHA256SUMS.
 *
 * @property root the folder of the files.
 * @property sha256 checksum of SHA256SUMS, which identifies the bundle's content.
 * @property recommended path of the model file to run, by runtime: `cpu`, `gpu`, `npu`, `coreml`, `coreai`.
 */
public class Bundle private constructor(
    public val root: File,
    public val sha256: String,
    public val spec: ModelSpec,
    public val files: List<ModelFile>,
    public val recommended: Map<String, String>,
    private val golden: Map<String, GoldenFile>,
) {
    /**
     * The model file with this [name] or precision; if it is empty, the .tflite file that is recommended for [accelerator].
     *
     * @throws MobileDetException no file matches; the message lists those in the bundle.
     */
    @JvmOverloads
    public fun select(name: String = "", accelerator: String = "auto"): ModelFile {
        val wanted = name.ifEmpty { recommended[Recommended.runtime(accelerator)] }
        return files.firstOrNull { it.path == wanted || (it.format == "tflite" && it.precision == wanted) }
            ?: throw MobileDetException(
                "${root.name} holds no ${name.ifEmpty { "tflite file" }}; it holds " +
                    files.joinToString { it.path }.ifEmpty { "no model file" },
            )
    }

    /** The golden cases of a model file, with its outputs. */
    public fun golden(file: ModelFile): GoldenFile = golden.getValue(file.path)

    public companion object {
        /**
         * Opens a bundle folder and verifies every file in it.
         *
         * @throws MobileDetException the folder does not exist or is not a bundle, or a file is missing, changed or outside it.
         */
        @JvmStatic
        public fun open(folder: File): Bundle = verified(folder, folder.name)

        /**
         * Unpacks a zipped bundle into [folder], which must not exist, and opens it; if the bundle is
         * refused, nothing is left there.
         *
         * @throws MobileDetException as in [open], or the zip contains a link, a path outside the bundle, or more than
         *     [maxBytes].
         */
        @JvmStatic
        @JvmOverloads
        public fun unpack(zip: File, folder: File, maxBytes: Long = MAX_UNPACKED_BYTES): Bundle {
            val work = File(folder.parentFile, ".${folder.name}.work")
            work.deleteRecursively()
            try {
                val root = extract(zip, work, maxBytes)
                verified(root, zip.name)
                if (!root.renameTo(folder)) throw MobileDetException("cannot write $folder; is the device's storage full?")
                return verified(folder, zip.name)
            } catch (error: IOException) {
                throw MobileDetException("${zip.name} is not a mobiledet bundle: it is not a readable zip (${error.message})", error)
            } finally {
                work.deleteRecursively()
            }
        }

        private fun extract(zip: File, folder: File, maxBytes: Long): File = ZipArchive(zip).use { archive ->
            val entries = archive.entries
            entries.firstOrNull { it.isLink }?.let { link ->
                throw MobileDetException("${zip.name} contains a symbolic link, '${link.name}'; do not use this bundle")
            }
            var declared = 0L
            for (entry in entries) {
                declared += entry.size
                if (entry.size > maxBytes || declared > maxBytes) {
                    throw MobileDetException(
                        "${zip.name} unpacks to more than $maxBytes bytes with '${entry.name}'; do not use this bundle",
                    )
                }
            }
            val targets = entries.map { inside(folder, it.name, zip.name) }
            if (!folder.mkdirs()) throw IOException("cannot make $folder")
            for ((entry, target) in entries.zip(targets)) {
                if (entry.isFolder) {
                    target.mkdirs()
                } else {
                    target.parentFile!!.mkdirs()
                    target.outputStream().use { archive.extract(entry, it) }
                }
            }
            val inner = folder.listFiles().orEmpty().filter { it.isDirectory }
            if (!File(folder, LISTING).exists() && inner.size == 1) inner.single() else folder
        }

        private fun verified(root: File, name: String): Bundle {
            if (!File(root, LISTING).isFile) throw MobileDetException("$name is not a mobiledet bundle: $LISTING is missing")
            val sums = File(root, ChecksumList.NAME)
            if (!sums.isFile) {
                throw MobileDetException(
                    "$name: ${ChecksumList.NAME} is missing, as in bundles of an older mobiledet; export or copy it again",
                )
            }
            val content = sums.readBytes()
            val listed = verifyFiles(root, content, name)
            REQUIRED.firstOrNull { it !in listed }?.let { throw missing(name, it) }
            val listing = read(name, LISTING) { Json.parse(File(root, LISTING).readBytes()) }
            val spec = ModelSpec.read(listing, "$name: $LISTING")
            val files = read(name, LISTING) { readFiles(listing, spec.labels.size) }
            for (file in files) {
                inside(root, file.path, name)
                if (listed.none { it == file.path || it.startsWith("${file.path}/") }) throw missing(name, file.path)
            }
            val recommended = read(name, LISTING) { Recommended.read(Fields(listing), files) }
            val golden = read(name, GOLDEN) { GoldenReader(File(root, "golden"), spec).read(files.map { it.path }) }
            return Bundle(root, Checksum.of(content), spec, files, recommended, golden)
        }

        /** Verifies that the folder contains exactly the listed files, with their checksums; returns their paths. */
        private fun verifyFiles(root: File, sums: ByteArray, name: String): Set<String> {
            val checksums = read(name, ChecksumList.NAME) { ChecksumList.parse(sums) }
            for ((path, sha256) in checksums) {
                val target = inside(root, path, name)
                if (!target.isFile) throw missing(name, path)
                if (Checksum.of(target) != sha256) throw changed(name, path)
            }
            val paths = root.walkTopDown().filter { it.isFile }.map { it.relativeTo(root).invariantSeparatorsPath }
            paths.firstOrNull { it != ChecksumList.NAME && it !in checksums }?.let { path ->
                throw MobileDetException("$name holds $path, which ${ChecksumList.NAME} does not list; remove it or copy the bundle again")
            }
            return checksums.keys
        }

        private fun readFiles(listing: JsonElement, classes: Int): List<ModelFile> = Fields(listing).list("files").map { entry ->
            val file = Fields(entry, "files")
            val thresholds = if (file.has("operating_point")) file.fields("operating_point").numbers("thresholds") else null
            require(thresholds == null || (thresholds.size == classes && thresholds.all { it in 0.0..1.0 })) {
                "the thresholds of ${file.text("path")} are not $classes numbers in 0..1"
            }
            ModelFile(
                file.text("path"), file.text("format"), file.text("precision"), file.number("bytes").toLong(), thresholds,
                if (file.has("face")) file.text("face") else "",
            )
        }

        private fun <T> read(name: String, path: String, read: () -> T): T = try {
            read()
        } catch (error: IllegalArgumentException) {
            throw MobileDetException("$name: $path cannot be used: ${error.message}", error)
        }

        private fun missing(name: String, path: String) =
            MobileDetException("$name: $path is missing; copy or export the bundle again")

        private fun changed(name: String, path: String) =
            MobileDetException("$name: $path has changed (checksum differs); copy or export the bundle again")

        /** The path `root / path`; throws if it is outside of `root`. */
        private fun inside(root: File, path: String, bundle: String): File {
            val isOutside = path.isEmpty() || path.startsWith("/") || '\\' in path || '\u0000' in path ||
                path.split('/').any { it == ".." }
            val target = File(root, path)
            if (isOutside || !target.canonicalFile.startsWith(root.canonicalFile)) {
                throw MobileDetException("$bundle: file name '$path' points outside the bundle; do not use this bundle")
            }
            return target
        }
    }
}
