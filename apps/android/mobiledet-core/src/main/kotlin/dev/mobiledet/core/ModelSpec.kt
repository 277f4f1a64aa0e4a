package dev.mobiledet.core

import com.google.gson.JsonElement

private const val SCHEMA_VERSION = 1
private const val LEAST_SIDE = 32
private val RESIZE_RULES = listOf("stretch", "letterbox")
private val SAMPLINGS = listOf("mean", "bilinear")
private val PADDINGS = mapOf("grey" to 114, "black" to 0)
private val PLACEMENTS = listOf("centre", "top-left")
private val EXIF_RULES = listOf("auto", "apply", "ignore")

/**
 * The image that a model takes: height x width x 3, RGB, raw values 0..255.
 *
 * Normalisation is inside the model file; [resize] says how an image becomes this size: `stretch` scales both sides,
 * `letterbox` keeps its shape and fills the rest with the colour [padding] (`grey`, `black`), the image in the [placement]
 * (`centre`, `top-left`); see [Placement]. [sampling] says which of its pixels count: `mean` all, `bilinear` the four
 * around each place; see [Resize]. [exif] says whether a photograph is turned as its EXIF orientation says: `ignore`
 * leaves it as it is stored, `apply` and `auto` turn it.
 */
public data class InputSpec(
    val height: Int,
    val width: Int,
    val resize: String,
    val sampling: String,
    val padding: String = "grey",
    val placement: String = "centre",
    val exif: String = "auto",
) {
    public val isLetterbox: Boolean get() = resize == "letterbox"

    /** Whether a photograph is turned upright before the model sees it. */
    public val appliesOrientation: Boolean get() = exif != "ignore"

    internal val paddingValue: Int get() = PADDINGS.getValue(padding)
}

/** How raw scores became detections, inside the model file; [maxDetections] is the number of its rows. */
public data class NmsSpec(val iou: Double, val score: Double, val topK: Int, val maxDetections: Int)

/**
 * What another machine needs to feed a model file and read its outputs.
 *
 * @property labels class names; a class index is a position in it.
 * @property categoryIds the data set's own id of each label.
 */
public data class ModelSpec(
    val name: String,
    val backbone: String,
    val detector: String,
    val input: InputSpec,
    val labels: List<String>,
    val categoryIds: List<Int>,
    val nms: NmsSpec,
) {
    internal companion object {
        /** Reads bundle.json; fields that only training needs are left alone. */
        fun read(listing: JsonElement, source: String): ModelSpec = try {
            val fields = Fields(listing)
            require(fields.has("schema_version")) { "not a mobiledet model description (no schema_version)" }
            val version = fields.element("schema_version")
            require(version.toString() == "$SCHEMA_VERSION") {
                "schema version ${version.shown()} is not $SCHEMA_VERSION; use the matching mobiledet"
            }
            val spec = ModelSpec(
                name = fields.text("name"),
                backbone = fields.text("backbone"),
                detector = fields.text("detector"),
                input = input(fields.fields("input")),
                labels = fields.texts("labels"),
                categoryIds = fields.ints("category_ids"),
                nms = nms(fields.fields("nms")),
            )
            require(spec.labels.isNotEmpty() && spec.labels.none { it.isEmpty() }) { "labels are empty" }
            require(spec.labels.size == spec.categoryIds.distinct().size) {
                "${spec.labels.size} labels but ${spec.categoryIds.distinct().size} category ids"
            }
            spec
        } catch (error: IllegalArgumentException) {
            throw MobileDetException("$source: ${error.message}", error)
        }

        private fun input(fields: Fields): InputSpec {
            fun choice(name: String, known: Collection<String>, older: String? = null): String {
                val value = if (older == null || fields.has(name)) fields.text(name) else older // of older files
                require(value in known) { "$name '$value' is not one of ${known.joinToString()}; use a newer app" }
                return value
            }
            val input = InputSpec(
                fields.int("height"), fields.int("width"), choice("resize", RESIZE_RULES),
                choice("sampling", SAMPLINGS, "bilinear"), choice("padding", PADDINGS.keys, "grey"),
                choice("placement", PLACEMENTS, "centre"), choice("exif", EXIF_RULES, "auto"),
            )
            for (side in listOf(input.height, input.width)) {
                require(side >= LEAST_SIDE) { "input side $side is below $LEAST_SIDE" }
            }
            require(fields.text("channels") == "RGB") { "channels '${fields.text("channels")}' are not RGB" }
            return input
        }

        private fun nms(fields: Fields): NmsSpec {
            val nms = NmsSpec(
                fields.number("iou"), fields.number("score"), fields.int("top_k"), fields.int("max_detections"),
            )
            require(nms.iou > 0 && nms.iou < 1) { "nms iou ${nms.iou} is not between 0 and 1" }
            require(nms.score >= 0 && nms.score < 1) { "nms score ${nms.score} is not in 0..1" }
            require(nms.maxDetections in 1..nms.topK) { "nms needs 0 < max_detections <= top_k" }
            return nms
        }
    }
}
