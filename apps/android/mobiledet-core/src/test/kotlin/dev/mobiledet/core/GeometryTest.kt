package dev.mobiledet.core

import com.google.gson.JsonElement
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Test

class GeometryTest {
    @Test
    fun resizingEqualsTheHostToTheBit() {
        for (case in Vectors.cases("resize")) {
            val expected = Vectors.image(case.getAsJsonObject("resized"))
            val image = Vectors.image(case.getAsJsonObject("image"))
            val input = Vectors.input(case, expected.height, expected.width)
            assertArrayEquals("${image.height} x ${image.width} $input", expected.pixels, Preprocessor(input).prepare(image).pixels)
        }
    }

    @Test
    fun placementAndBoxesEqualTheHost() {
        for (case in Vectors.cases("placement")) {
            val (inputHeight, inputWidth) = Vectors.ints(case.get("input")).toList()
            val input = Vectors.input(case, inputHeight, inputWidth)
            val placement = Placement.of(case.get("height").asInt, case.get("width").asInt, input)
            val part = listOf(placement.top, placement.left, placement.height, placement.width)
            assertEquals(Vectors.ints(case.get("part")).toList(), part)
            val boxes = Vectors.floats(case.get("boxes"))
            val rows = boxes.size / 4
            val found = placement.toImage(Detections(boxes, FloatArray(rows), IntArray(rows) { it }))
            assertArrayEquals(Vectors.floats(case.get("in_picture")), found.boxes, 0f)
            val visible = placement.visible(found)
            assertArrayEquals(Vectors.floats(case.get("visible")), visible.boxes, 0f)
            assertArrayEquals(Vectors.ints(case.get("visible_rows")), visible.labels)
        }
    }

    @Test
    fun imagesPointsAndBoxesTurn() {
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
