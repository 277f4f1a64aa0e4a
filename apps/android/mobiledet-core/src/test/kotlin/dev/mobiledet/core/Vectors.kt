package dev.mobiledet.core

import com.google.gson.JsonElement
import com.google.gson.JsonObject
import java.io.File
import java.util.Base64

/** The test vectors in apps/testdata; the property `mobiledet.testdata` says where they lie. */
internal object Vectors {
    val folder = File(System.getProperty("mobiledet.testdata") ?: "../../testdata")
    val bundles = File(folder, "bundles")

    fun cases(name: String): List<JsonObject> {
        val content = Json.parse(File(folder, "$name.json").readBytes()).asJsonObject
        return content.getAsJsonArray("cases").map { it.asJsonObject }.also { check(it.isNotEmpty()) }
    }

    fun bytes(text: JsonElement): ByteArray = Base64.getDecoder().decode(text.asString)

    fun image(pixels: JsonObject) =
        RgbImage(pixels.get("height").asInt, pixels.get("width").asInt, bytes(pixels.get("base64")))

    /** Numbers of a list of numbers or of rows of them; the texts NaN and Infinity are such. */
    fun floats(values: JsonElement): FloatArray = numbers(values).map { it.toFloat() }.toFloatArray()

    fun numbers(values: JsonElement): List<Double> =
        if (values.isJsonArray) values.asJsonArray.flatMap { numbers(it) } else listOf(values.asString.toDouble())

    fun ints(values: JsonElement): IntArray = values.asJsonArray.map { it.asInt }.toIntArray()

    /** Of a letterbox with its colour and place, which cases of a stretch do not have. */
    fun input(case: JsonObject, height: Int, width: Int): InputSpec {
        fun text(name: String, without: String) = if (case.has(name)) case.get(name).asString else without
        val (resize, sampling) = listOf("resize", "sampling").map { case.get(it).asString }
        return InputSpec(height, width, resize, sampling, text("padding", "grey"), text("placement", "centre"))
    }

    fun tolerance(values: JsonObject) = Tolerance(values.get("iou").asDouble, values.get("score").asDouble)

    /** Boxes (x1, y1, x2, y2), scores and labels. */
    fun detections(found: JsonObject) =
        Detections(floats(found.get("boxes_xyxy")), floats(found.get("scores")), ints(found.get("labels")))
}
