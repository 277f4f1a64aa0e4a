package dev.mobiledet.core

import com.google.gson.JsonObject
import java.io.File
import java.io.IOException

private const val LISTING = "bundle.json"
private const val GOLDEN = "golden/golden.json"
private val REQUIRED_EXTRAS = setOf("labels.txt", GOLDEN)

/** What of a zip is unpacked at most, unless a caller says otherwise: 4 GiB. */
public const val MOST_UNPACKED_BYTES: Long = 4L shl 30

/** One model file of a bundle; [path] is relative to it, [precision] such as `float16`. */
public data class ModelFile(val path: String, val format: String, val precision: String, val bytes: Long, val sha256: String)

/** An input and the outputs that every runtime must reproduce: boxes (ymin, xmin, ymax, xmax) in 0..1, valid rows only. */
public class GoldenCase(public val image: RgbImage, public val expected: Detections)

/** When two detections are the same: of one class, with at least this IoU and at most this difference of scores. */
public data class Tolerance(val iou: Double, val score: Double)

/**
 * A bundle of `mobiledet export`, opened and verified: every file in it has the checksum that bundle.json tells.
 *
 * @property root the folder that holds the files.
 * @property sha256 of bundle.json, which names the bundle's exact content.
 */
public class Bundle private constructor(
    public val root: File,
    public val sha256: String,
    public val spec: ModelSpec,
    public val files: List<ModelFile>,
) {
    /**
     * The model file called [name], or of this precision, or the first one.
     *
     * @throws MobileDetException there is none; the message lists what the bundle holds.
     */
    public fun select(name: String = "", format: String = "tflite"): ModelFile =
        files.firstOrNull { it.path == name || (it.format == format && (name.isEmpty() || it.precision == name)) }
            ?: throw MobileDetException(
                "${root.name} holds no ${name.ifEmpty { "$format file" }}; it holds " +
                    files.joinToString { it.path }.ifEmpty { "no model file" },
            )

    /** The golden cases in their order. */
    public fun golden(): List<GoldenCase> = readGolden { content ->
        content.list("cases").map { case ->
            val fields = Fields(case, "cases")
            val pixels = inside(root, "golden/${fields.text("image")}", root.name).readBytes()
            val rows = fields.list("boxes").map { row -> row.asJsonArray.map { Fields.number(it, "boxes").toFloat() } }
            require(rows.all { it.size == 4 }) { "a box has not four sides" }
            val boxes = FloatArray(rows.size * 4) { rows[it / 4][BOX_ORDER[it % 4]] }
            val scores = fields.numbers("scores").map { it.toFloat() }.toFloatArray()
            GoldenCase(
                RgbImage(spec.input.height, spec.input.width, pixels),
                Detections(boxes, scores, fields.ints("classes").toIntArray()),
            )
        }
    }

    /** The tolerance of a precision. */
    public fun goldenTolerance(precision: String): Tolerance = readGolden { content ->
        val tolerances = content.fields("tolerances")
        require(tolerances.has(precision)) { "no golden tolerance for precision $precision" }
        tolerances.fields(precision).let { Tolerance(it.number("iou"), it.number("score")) }
    }

    private fun <T> readGolden(read: (Fields) -> T): T = try {
        read(Fields(Json.parse(File(root, GOLDEN).readBytes())))
    } catch (error: IOException) {
        throw unusable(error)
    } catch (error: IllegalArgumentException) {
        throw unusable(error)
    } catch (error: IllegalStateException) {
        throw unusable(error)
    }

    private fun unusable(error: Exception) =
        MobileDetException("${root.name}: $GOLDEN cannot be used: ${error.message}; export the bundle again", error)

    public companion object {
        // (ymin, xmin, ymax, xmax) on disk, (x1, y1, x2, y2) in memory
        private val BOX_ORDER = intArrayOf(1, 0, 3, 2)

        /**
         * Opens a bundle folder and verifies every file in it.
         *
         * @throws MobileDetException nothing is there, it is no bundle, or a file is missing, changed or outside of it.
         */
        @JvmStatic
        public fun open(folder: File): Bundle = verified(folder, folder.name)

        /**
         * Unpacks a zipped bundle into [folder], which must not exist, and opens it; a bundle that is refused leaves
         * nothing there.
         *
         * @throws MobileDetException as [open], and when the zip holds a link, a path out of the bundle, or more than
         *     [mostBytes].
         */
        @JvmStatic
        @JvmOverloads
        public fun unpack(zip: File, folder: File, mostBytes: Long = MOST_UNPACKED_BYTES): Bundle {
            val work = File(folder.parentFile, ".${folder.name}.work")
            work.deleteRecursively()
            try {
                val root = extract(zip, work, mostBytes)
                verified(root, zip.name)
                if (!root.renameTo(folder)) throw MobileDetException("cannot write $folder; is there room on the device?")
                return verified(folder, zip.name)
            } catch (error: IOException) {
                throw MobileDetException("${zip.name} is not a mobiledet bundle: no readable zip (${error.message})", error)
            } finally {
                work.deleteRecursively()
            }
        }

        private fun extract(zip: File, folder: File, mostBytes: Long): File = ZipArchive(zip).use { archive ->
            val entries = archive.entries
            entries.firstOrNull { it.isLink }?.let { link ->
                throw MobileDetException("${zip.name} holds a symbolic link, '${link.name}'; do not use this bundle")
            }
            var declared = 0L
            for (entry in entries) {
                declared += entry.size
                if (entry.size > mostBytes || declared > mostBytes) {
                    throw MobileDetException(
                        "${zip.name} unpacks to more than $mostBytes bytes with '${entry.name}'; do not use this bundle",
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
            val listingFile = File(root, LISTING)
            if (!listingFile.isFile) throw MobileDetException("$name is not a mobiledet bundle: $LISTING is missing")
            val content = listingFile.readBytes()
            val listing = try {
                Json.parse(content)
            } catch (error: IllegalArgumentException) {
                throw MobileDetException("$name: $LISTING cannot be read: ${error.message}", error)
            }
            val spec = ModelSpec.read(listing, "$name: $LISTING")
            val (files, checksums) = readFiles(listing as JsonObject, name)
            for ((path, sha256) in checksums) {
                val target = inside(root, path, name)
                if (!target.exists()) throw MobileDetException("$name: $path is missing; copy or export the bundle again")
                if (Checksum.of(target) != sha256) throw changed(name, path)
            }
            return Bundle(root, Checksum.of(content), spec, files)
        }

        private fun readFiles(listing: JsonObject, name: String): Pair<List<ModelFile>, Map<String, String>> = try {
            val fields = Fields(listing)
            val files = fields.list("files").map { entry ->
                val file = Fields(entry, "files")
                ModelFile(
                    file.text("path"), file.text("format"), file.text("precision"),
                    file.number("bytes").toLong(), file.text("sha256"),
                )
            }
            val checksums = files.associate { it.path to it.sha256 } + fields.entries("extras") { it, path -> it.text(path) }
            if (fields.text("sha256") != Checksum.ofListing(listing) || !checksums.keys.containsAll(REQUIRED_EXTRAS)) {
                throw changed(name, LISTING)
            }
            files to checksums
        } catch (error: IllegalArgumentException) {
            throw MobileDetException("$name: $LISTING lists its files in a form that cannot be read: ${error.message}", error)
        }

        private fun changed(name: String, path: String) =
            MobileDetException("$name: $path has changed (checksum differs); copy or export the bundle again")

        /** `root / path` when that stays inside of `root`. */
        private fun inside(root: File, path: String, bundle: String): File {
            val leaves = path.isEmpty() || path.startsWith("/") || '\\' in path || '\u0000' in path ||
                path.split('/').any { it == ".." }
            val target = File(root, path)
            if (leaves || !target.canonicalFile.startsWith(root.canonicalFile)) {
                throw MobileDetException("$bundle: file name '$path' leads out of the bundle; do not use this bundle")
            }
            return target
        }
    }
}
