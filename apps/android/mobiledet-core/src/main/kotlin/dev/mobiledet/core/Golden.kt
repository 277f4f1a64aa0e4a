package dev.mobiledet.core

import com.google.gson.JsonArray
import java.io.File

private const val VERSION = 2
private const val LEAST_IOU = 0.5
private const val MOST_SCORE = 0.5
private val NAME = Regex("[A-Za-z0-9_-]+\\.(rgb|png)")

// what sessions call the processor itself; everything else may compute in numbers of 16 bits
private val PROCESSORS = setOf("cpu", "xnnpack", "wasm", "interpreter")

/** When two detections are the same: of one class, with at least this IoU and at most this difference of scores. */
public data class Tolerance(val iou: Double, val score: Double)

/**
 * A picture and what a model file gave for it at export.
 *
 * @property content height x width x 3 bytes of the model's input, RGB, row by row; or a PNG file of another size, which
 *     the device decodes and resizes as any other.
 * @property isEncoded whether it is the file.
 * @property expected boxes as fractions of the picture.
 * @property cut score below which there were no candidates.
 */
public class GoldenCase(
    public val content: ByteArray,
    public val isEncoded: Boolean,
    public val expected: Detections,
    public val cut: Double,
)

/**
 * What a model file gives for the golden cases.
 *
 * @property runtime what computed it.
 * @property cpu how far another runtime may be that runs the file on a processor.
 * @property accelerated and one that runs it elsewhere.
 */
public class GoldenFile(
    public val cases: List<GoldenCase>,
    public val runtime: String,
    public val cpu: Tolerance,
    public val accelerated: Tolerance,
) {
    /** That of a session whose actual accelerator is called so. */
    public fun tolerance(accelerator: String): Tolerance = if (accelerator in PROCESSORS) cpu else accelerated
}

/** Reads golden/golden.json strictly: types, ranges and lengths. As `mobiledet/golden.py`. */
internal class GoldenReader(private val folder: File, private val spec: ModelSpec) {
    private class Picture(val content: ByteArray, val isEncoded: Boolean)

    /** What each of the model files in [paths] gives; throws [IllegalArgumentException] where it cannot be used. */
    fun read(paths: Collection<String>): Map<String, GoldenFile> {
        val index = File(folder, "golden.json")
        require(index.isFile) { "it is missing" }
        val content = Fields(Json.parse(index.readBytes()))
        require(content.has("version") && content.element("version").toString() != "1") {
            "golden cases of an older mobiledet; export the bundle again"
        }
        require(content.element("version").toString() == "$VERSION") {
            "golden cases of version ${content.element("version").shown()}, not $VERSION; use the matching app"
        }
        content.exactly("version", "cases", "files")
        val pictures = content.list("cases").map { picture(Fields(it, "cases").exactly("input").text("input")) }
        require(pictures.isNotEmpty()) { "there is no case" }
        val files = content.entries("files") { it, path -> file(it.fields(path), path, pictures) }
        (paths.toSet() - files.keys).firstOrNull()?.let { throw IllegalArgumentException("$it has no outputs") }
        (files.keys - paths.toSet()).firstOrNull()?.let { throw IllegalArgumentException("$it is no model file of the bundle") }
        return files
    }

    private fun picture(name: String): Picture {
        require(NAME.matches(name)) { "input '$name' is no name of a .rgb or .png file in golden/" }
        val file = File(folder, name)
        require(file.isFile) { "input $name is missing" }
        val size = spec.input.height.toLong() * spec.input.width * RgbImage.CHANNELS
        val isEncoded = name.endsWith(".png")
        require(isEncoded || file.length() == size) { "input $name holds ${file.length()} bytes, the model takes $size" }
        return Picture(file.readBytes(), isEncoded)
    }

    private fun file(fields: Fields, path: String, pictures: List<Picture>): GoldenFile {
        fields.exactly("runtime", "tolerance", "outputs")
        val tolerances = fields.fields("tolerance").exactly("cpu", "accelerated")
        val outputs = fields.list("outputs")
        require(outputs.size() == pictures.size) { "$path: ${outputs.size()} outputs for ${pictures.size} cases" }
        val cases = outputs.zip(pictures).map { (output, picture) -> case(Fields(output, "$path.outputs"), picture) }
        return GoldenFile(
            cases, fields.text("runtime"), tolerance(tolerances.fields("cpu")), tolerance(tolerances.fields("accelerated")),
        )
    }

    private fun tolerance(fields: Fields): Tolerance {
        fields.exactly("iou", "score")
        val tolerance = Tolerance(fields.number("iou"), fields.number("score"))
        require(tolerance.iou > LEAST_IOU && tolerance.iou <= 1) { "a tolerance's iou is ${tolerance.iou}, not above 0.5 and to 1" }
        require(tolerance.score in 0.0..MOST_SCORE) { "a tolerance's score is ${tolerance.score}, not in 0..0.5" }
        return tolerance
    }

    private fun case(fields: Fields, picture: Picture): GoldenCase {
        fields.exactly("boxes", "classes", "scores", "cut")
        val rows = fields.list("boxes").map { row -> (row as? JsonArray)?.map { Fields.number(it, "boxes").toFloat() }.orEmpty() }
        val (classes, scores, cut) = Triple(fields.wholes("classes"), fields.numbers("scores"), fields.number("cut"))
        require(rows.all { it.size == BOX_ORDER.size }) { "a box has not four sides" }
        require(rows.all { row -> row.all { it.isFinite() } }) { "a box is too large" }
        require(rows.size == scores.size && classes.size == scores.size) {
            "${rows.size} boxes, ${classes.size} classes and ${scores.size} scores do not agree"
        }
        require(scores.size <= spec.nms.maxDetections) { "${scores.size} detections in ${spec.nms.maxDetections} rows" }
        require(classes.all { it in spec.labels.indices }) { "a class is not in 0..${spec.labels.size - 1}" }
        require(scores.all { it in 0.0..1.0 }) { "a score is not in 0..1" }
        require(cut >= 0 && cut <= (scores.minOrNull() ?: 1.0)) { "cut $cut is not in 0..lowest score" }
        val boxes = FloatArray(rows.size * BOX_ORDER.size) { rows[it / BOX_ORDER.size][BOX_ORDER[it % BOX_ORDER.size]] }
        val expected = Detections(boxes, scores.map { it.toFloat() }.toFloatArray(), classes.toIntArray())
        return GoldenCase(picture.content, picture.isEncoded, expected, maxOf(cut, spec.nms.score))
    }

    private companion object {
        // (ymin, xmin, ymax, xmax) on disk, (x1, y1, x2, y2) in memory
        val BOX_ORDER = intArrayOf(1, 0, 3, 2)
    }
}
