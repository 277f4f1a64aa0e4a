package dev.mobiledet.core

import com.google.gson.JsonArray
import java.io.File

private const val VERSION = 2
private const val MIN_IOU_TOLERANCE = 0.5
private const val MAX_SCORE_TOLERANCE = 0.5
private val NAME = Regex("[A-Za-z0-9_-]+\\.(rgb|png)")

// accelerators of sessions that are the CPU itself; all others may compute in 16 bits
private val PROCESSORS = setOf("cpu", "xnnpack", "wasm", "interpreter")

/** Two detections match if their classes are equal, their IoU is at least [iou], and their scores differ by at most [score]. */
public data class Tolerance(val iou: Double, val score: Double)

/**
 * An image, and the detections of a model file in it at export.
 *
 * @property content height x width x 3 bytes of the model's input, RGB, row by row; or a PNG file of another size, which
 *     the device decodes and resizes like any other image.
 * @property isEncoded whether [content] is a PNG file.
 * @property expected expected detections, boxes as fractions of the model's input.
 * @property cut score below which candidates were cut off.
 */
public class GoldenCase(
    public val content: ByteArray,
    public val isEncoded: Boolean,
    public val expected: Detections,
    public val cut: Double,
)

/**
 * The golden cases of a model file.
 *
 * @property runtime the reference runtime that computed the expected detections.
 * @property cpu tolerance for runtimes that run the file on a CPU.
 * @property accelerated tolerance for runtimes that use another accelerator.
 */
public class GoldenFile(
    public val cases: List<GoldenCase>,
    public val runtime: String,
    public val cpu: Tolerance,
    public val accelerated: Tolerance,
) {
    /** The tolerance for a session with this accelerator. */
    public fun tolerance(accelerator: String): Tolerance = if (accelerator in PROCESSORS) cpu else accelerated
}

/** Reads golden/golden.json strictly (types, ranges and lengths), like `mobiledet/golden.py`. */
internal class GoldenReader(private val folder: File, private val spec: ModelSpec) {
    private class Input(val content: ByteArray, val isEncoded: Boolean)

    /** Reads the golden cases of each model file in [paths]; throws [IllegalArgumentException] if they are malformed. */
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
        val inputs = content.list("cases").map { readInput(Fields(it, "cases").exactly("input").text("input")) }
        require(inputs.isNotEmpty()) { "there is no case" }
        val files = content.entries("files") { it, path -> file(it.fields(path), path, inputs) }
        (paths.toSet() - files.keys).firstOrNull()?.let { throw IllegalArgumentException("$it has no outputs") }
        (files.keys - paths.toSet()).firstOrNull()?.let { throw IllegalArgumentException("$it is not a model file of the bundle") }
        return files
    }

    private fun readInput(name: String): Input {
        require(NAME.matches(name)) { "input '$name' is not the name of a .rgb or .png file in golden/" }
        val file = File(folder, name)
        require(file.isFile) { "input $name is missing" }
        val size = spec.input.height.toLong() * spec.input.width * RgbImage.CHANNELS
        val isEncoded = name.endsWith(".png")
        require(isEncoded || file.length() == size) { "input $name holds ${file.length()} bytes, the model takes $size" }
        return Input(file.readBytes(), isEncoded)
    }

    private fun file(fields: Fields, path: String, inputs: List<Input>): GoldenFile {
        fields.exactly("runtime", "tolerance", "outputs")
        val tolerances = fields.fields("tolerance").exactly("cpu", "accelerated")
        val outputs = fields.list("outputs")
        require(outputs.size() == inputs.size) { "$path: ${outputs.size()} outputs for ${inputs.size} cases" }
        val cases = outputs.zip(inputs).map { (output, input) -> case(Fields(output, "$path.outputs"), input) }
        return GoldenFile(
            cases, fields.text("runtime"), tolerance(tolerances.fields("cpu")), tolerance(tolerances.fields("accelerated")),
        )
    }

    private fun tolerance(fields: Fields): Tolerance {
        fields.exactly("iou", "score")
        val tolerance = Tolerance(fields.number("iou"), fields.number("score"))
        require(tolerance.iou > MIN_IOU_TOLERANCE && tolerance.iou <= 1) { "a tolerance's iou is ${tolerance.iou}, not above 0.5 and at most 1" }
        require(tolerance.score in 0.0..MAX_SCORE_TOLERANCE) { "a tolerance's score is ${tolerance.score}, not in 0..0.5" }
        return tolerance
    }

    private fun case(fields: Fields, input: Input): GoldenCase {
        fields.exactly("boxes", "classes", "scores", "cut")
        val rows = fields.list("boxes").map { row -> (row as? JsonArray)?.map { Fields.number(it, "boxes").toFloat() }.orEmpty() }
        val (classes, scores, cut) = Triple(fields.wholes("classes"), fields.numbers("scores"), fields.number("cut"))
        require(rows.all { it.size == BOX_ORDER.size }) { "a box does not have four sides" }
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
        return GoldenCase(input.content, input.isEncoded, expected, maxOf(cut, spec.nms.score))
    }

    private companion object {
        // (ymin, xmin, ymax, xmax) on disk, (x1, y1, x2, y2) in memory
        val BOX_ORDER = intArrayOf(1, 0, 3, 2)
    }
}
