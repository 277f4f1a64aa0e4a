package dev.mobiledet.core

import com.google.gson.JsonElement

private const val SCHEMA_VERSION = 1
private const val MIN_SIDE = 32
private val RESIZE_RULES = listOf("stretch", "letterbox")
private val SAMPLINGS = listOf("mean", "bilinear")
private val PADDINGS = mapOf("grey" to 114, "black" to 0)
private val PLACEMENTS = listOf("centre", "top-left")
private val EXIF_RULES = listOf("auto", "apply", "ignore")

/**
 * The image that a model takes: height x width x 3, RGB, raw values 0..255.
 *
 * Normalisation is part of the model file. [resize] is how an image is resized: `stretch` scales both sides, `letterbox`
 * keeps the aspect ratio, fills the rest with the colour [padding] (`grey`, `black`), and places the image at [placement]
 * (`centre`, `top-left`); see [Placement]. [sampling] is which pixels are averaged: `mean` all, `bilinear` the four
 * nearest ones; see [Preprocessor]. [exif] is whether a photo is turned by its EXIF orientation: `ignore` leaves it as stored,
 * `apply` and `auto` turn it.
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

    /** Whether a photo is turned upright by its EXIF orientation. */
    public val appliesOrientation: Boolean get() = exif != "ignore"

    internal val paddingValue: Int get() = PADDINGS.getValue(padding)
}

/** Non-maximum suppression inside the model file; [maxDetections] is the number of output rows. */
public data class NmsSpec(val iou: Double, val score: Double, val topK: Int, val maxDetections: Int)

/**
 * What a device needs to know to prepare the input of a model file and to read its outputs.
 *
 * @property labels class names; a class index is a position in this list.
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
        /** Reads bundle.json; ignores fields that only training needs. */
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
                categoryIds = fields.wholes("category_ids"),
                nms = nms(fields.fields("nms")),
            )
            require(spec.labels.isNotEmpty() && spec.labels.none { it.isEmpty() }) { "labels are empty" }
            require(spec.labels.size == spec.categoryIds.size) {
                "${spec.labels.size} labels but ${spec.categoryIds.size} category ids"
            }
            require(spec.categoryIds.distinct().size == spec.categoryIds.size) { "category ids repeat" }
            spec
        } catch (error: IllegalArgumentException) {
            throw MobileDetException("$source: ${error.message}", error)
        }

        private fun input(fields: Fields): InputSpec {
            fun choice(name: String, known: Collection<String>, older: String? = null): String {
                val value = if (older == null || fields.has(name)) fields.text(name) else older // older files lack the field
                require(value in known) { "$name '$value' is not one of ${known.joinToString()}; use a newer app" }
                return value
            }
            val input = InputSpec(
                fields.int("height"), fields.int("width"), choice("resize", RESIZE_RULES),
                choice("sampling", SAMPLINGS, "bilinear"), choice("padding", PADDINGS.keys, "grey"),
                choice("placement", PLACEMENTS, "centre"), choice("exif", EXIF_RULES, "auto"),
            )
            for (side in listOf(input.height, input.width)) {
                require(side >= MIN_SIDE) { "input side $side is below $MIN_SIDE" }
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
