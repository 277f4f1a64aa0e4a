package dev.mobiledet.core

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParseException
import com.google.gson.JsonParser
import com.google.gson.JsonPrimitive
import com.google.gson.Strictness
import com.google.gson.stream.JsonReader
import com.google.gson.stream.JsonToken
import java.io.IOException
import java.io.StringReader
import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException

/** Parses JSON strictly by RFC 8259; numbers keep their original text. */
internal object Json {
    /** Parses [content], UTF-8. Throws [IllegalArgumentException] if it is not valid JSON. */
    fun parse(content: ByteArray): JsonElement {
        val text = try {
            Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString()
        } catch (error: CharacterCodingException) {
            throw IllegalArgumentException("it is not UTF-8", error)
        }
        try {
            val reader = JsonReader(StringReader(text)).apply { strictness = Strictness.STRICT }
            val value = JsonParser.parseReader(reader)
            require(reader.peek() == JsonToken.END_DOCUMENT) { "there is more after its end" }
            return value
        } catch (error: JsonParseException) {
            throw notJson(error)
        } catch (error: IOException) {
            throw notJson(error)
        }
    }

    private fun notJson(error: Exception) =
        IllegalArgumentException("it is not JSON: ${error.message.orEmpty().lineSequence().first()}", error)
}

/** A JSON value as shown in error messages, shortened. */
internal fun JsonElement.shown(): String = toString().let { if (it.length < 40) it else it.take(37) + "..." }

/** The fields of an object, read by name; a value of another type throws [IllegalArgumentException]. */
internal class Fields(value: JsonElement, private val where: String = "") {
    private val values: JsonObject = value as? JsonObject ?: fail(where, value, "an object")

    /** Refuses missing and unknown fields. */
    fun exactly(vararg names: String): Fields = apply {
        names.firstOrNull { !values.has(it) }?.let { throw IllegalArgumentException("${path(it)} is missing") }
        values.keySet().firstOrNull { it !in names }?.let { throw IllegalArgumentException("${path(it)} is unknown") }
    }

    fun has(name: String): Boolean = values.has(name) && !values.get(name).isJsonNull

    fun element(name: String): JsonElement =
        values.get(name) ?: throw IllegalArgumentException("${path(name)} is missing")

    /** A text whose number of characters is in [characters]. */
    fun text(name: String, characters: IntRange): String =
        text(name).also { if (it.codePointCount(0, it.length) !in characters) outside(name, characters) }

    fun text(name: String): String =
        primitive(name) { it.isString }?.asString ?: fail(path(name), element(name), "a text")

    /** An integer, written without a decimal point or exponent. */
    fun int(name: String): Int = primitive(name) { it.isNumber }?.asString?.toIntOrNull()
        ?: fail(path(name), element(name), "a whole number")

    fun int(name: String, range: IntRange): Int = int(name).also { if (it !in range) outside(name, range) }

    fun number(name: String, range: ClosedRange<Double>): Double =
        number(name).also { if (it !in range) outside(name, range) }

    fun number(name: String): Double = primitive(name) { it.isNumber }?.asString?.toDoubleOrNull()?.takeIf(Double::isFinite)
        ?: fail(path(name), element(name), "a number")

    fun fields(name: String): Fields = Fields(element(name), path(name))

    fun list(name: String): JsonArray =
        element(name) as? JsonArray ?: fail(path(name), element(name), "a list")

    fun texts(name: String): List<String> = list(name).map {
        (it as? JsonPrimitive)?.takeIf { value -> value.isString }?.asString ?: fail(path(name), it, "a text")
    }

    fun numbers(name: String): List<Double> = list(name).map { number(it, path(name)) }

    /** Integers, written without a decimal point or exponent. */
    fun wholes(name: String): List<Int> = list(name).map {
        (it as? JsonPrimitive)?.takeIf { value -> value.isNumber }?.asString?.toIntOrNull() ?: fail(path(name), it, "a whole number")
    }

    /** Reads each value of the object with this name. */
    fun <T> entries(name: String, read: (Fields, String) -> T): Map<String, T> {
        val inner = fields(name)
        return inner.values.keySet().associateWith { read(inner, it) }
    }

    private fun primitive(name: String, fits: (JsonPrimitive) -> Boolean): JsonPrimitive? =
        (element(name) as? JsonPrimitive)?.takeIf(fits)

    private fun outside(name: String, range: ClosedRange<*>): Nothing = fail(path(name), element(name), "in $range")

    private fun path(name: String) = if (where.isEmpty()) name else "$where.$name"

    internal companion object {
        fun number(value: JsonElement, where: String): Double =
            (value as? JsonPrimitive)?.takeIf { it.isNumber }?.asString?.toDoubleOrNull()?.takeIf(Double::isFinite)
                ?: fail(where, value, "a number")

        private fun fail(where: String, value: JsonElement, expected: String): Nothing =
            throw IllegalArgumentException("${where.ifEmpty { "it" }} is ${value.shown()}, not $expected")
    }
}
