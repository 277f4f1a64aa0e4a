package dev.mobiledet.core

import java.nio.ByteBuffer
import kotlin.math.roundToInt
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class YuvImageTest {
    /** Y, Cb, Cr of a colour as JFIF defines them. */
    private fun yuv(r: Int, g: Int, b: Int) = listOf(
        0.299 * r + 0.587 * g + 0.114 * b,
        -0.168736 * r - 0.331264 * g + 0.5 * b + 128,
        0.5 * r - 0.418688 * g - 0.081312 * b + 128,
    ).map { it.roundToInt().coerceIn(0, 255) }

    @Test
    fun coloursComeBackFromBothLayouts() {
        for (colour in listOf(Triple(255, 0, 0), Triple(0, 255, 0), Triple(0, 0, 255), Triple(255, 255, 255), Triple(0, 0, 0), Triple(90, 140, 200))) {
            val (y, u, v) = yuv(colour.first, colour.second, colour.third)
            // two chroma rows; planar, and interleaved with padded rows, as phones give both
            val luma = YuvPlane(ByteBuffer.wrap(ByteArray(3 * 8) { y.toByte() }), 8, 1)
            val planar = listOf(u, v).map { value -> YuvPlane(ByteBuffer.wrap(ByteArray(2 * 3) { value.toByte() }), 3, 1) }
            val shared = ByteArray(2 * 8) { (if (it % 2 == 0) u else v).toByte() }
            val interleaved = listOf(0, 1).map { offset ->
                YuvPlane((ByteBuffer.wrap(shared).also { (it as java.nio.Buffer).position(offset) }).slice(), 8, 2)
            }
            for (chroma in listOf(planar, interleaved)) {
                val image = YuvImage(3, 5, luma, chroma[0], chroma[1]).toRgb()
                assertEquals(3 to 5, image.height to image.width)
                for (pixel in 0 until 15) {
                    val found = (0..2).map { image.pixels[pixel * 3 + it].toInt() and 0xff }
                    val expected = listOf(colour.first, colour.second, colour.third)
                    assertTrue("$found $expected", found.zip(expected).all { (a, b) -> kotlin.math.abs(a - b) <= 2 })
                }
            }
        }
    }
}
