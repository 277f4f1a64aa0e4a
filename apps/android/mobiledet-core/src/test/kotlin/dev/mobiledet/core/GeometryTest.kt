package dev.mobiledet.core

import com.google.gson.JsonElement
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertSame
import org.junit.Test

class GeometryTest {
    @Test
    fun stretchingIsThatOfTheHostToTheBit() {
        for (case in Vectors.cases("resize")) {
            val expected = Vectors.image(case.getAsJsonObject("resized"))
            val image = Vectors.image(case.getAsJsonObject("image"))
            val sampling = case.get("sampling").asString
            val resized = Resize.fit(image, InputSpec(expected.height, expected.width, "stretch", sampling))
            assertArrayEquals("${image.height} x ${image.width} $sampling", expected.pixels, resized.pixels)
        }
    }

    @Test
    fun anImageOfTheRightSizeIsLeftAlone() {
        val image = RgbImage(32, 32, ByteArray(32 * 32 * 3))
        assertSame(image, Resize.stretch(image, 32, 32, averages = true))
    }

    @Test
    fun picturesPointsAndBoxesTurn() {
        for (case in Vectors.cases("orientation")) {
            val orientation = Orientation.ofExif(case.get("orientation").asInt)
            val stored = Vectors.image(case.getAsJsonObject("stored"))
            val upright = Vectors.image(case.getAsJsonObject("upright"))
            val turned = orientation.turn(stored)
            assertEquals(upright.height to upright.width, turned.height to turned.width)
            assertArrayEquals(upright.pixels, turned.pixels)
            val (width, height) = stored.width.toFloat() to stored.height.toFloat()
            for ((from, to) in rows(case.get("stored_points")).zip(rows(case.get("upright_points")))) {
                assertEquals(to[0] to to[1], orientation.toUpright(from[0], from[1], width, height))
                assertEquals(from[0] to from[1], orientation.toStored(to[0], to[1], width, height))
            }
            for ((from, to) in rows(case.get("stored_boxes")).zip(rows(case.get("upright_boxes")))) {
                assertEquals(box(to), orientation.toUpright(box(from), width, height))
                assertEquals(box(from), orientation.toStored(box(to), width, height))
            }
        }
    }

    @Test
    fun rotationsAreOrientations() {
        assertEquals(listOf(1, 6, 3, 8, 8), listOf(0, 90, 180, 270, -90).map { Orientation.ofRotation(it).exif })
    }

    @Test
    fun exifIsReadFromAnyFile() {
        for (case in Vectors.cases("exif")) {
            val found = Exif.orientation(Vectors.bytes(case.get("base64")))
            assertEquals(case.get("name").asString, case.get("orientation").asInt, found.exif)
        }
    }

    @Test
    fun damagedExifNeverThrows() {
        for (case in Vectors.cases("exif")) {
            val file = Vectors.bytes(case.get("base64"))
            for (at in file.indices) {
                Exif.orientation(file.copyOf(at))
                for (value in listOf(0, 0x7f, 0xff)) Exif.orientation(file.copyOf().also { it[at] = value.toByte() })
            }
        }
    }

    private fun rows(values: JsonElement) = values.asJsonArray.map { Vectors.floats(it) }

    private fun box(sides: FloatArray) = Box(sides[0], sides[1], sides[2], sides[3])
}
