package dev.mobiledet.android

import android.graphics.Bitmap
import dev.mobiledet.core.MobileDetException
import java.awt.image.BufferedImage
import java.io.ByteArrayOutputStream
import javax.imageio.IIOImage
import javax.imageio.ImageIO
import javax.imageio.ImageWriteParam
import kotlin.math.abs
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode

/** Android's own decoders, which Robolectric brings, against Java's. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class PicturesTest {
    private fun smooth(width: Int, height: Int, type: Int = BufferedImage.TYPE_INT_RGB): BufferedImage {
        val image = BufferedImage(width, height, type)
        for (y in 0 until height) {
            for (x in 0 until width) {
                val rgb = (x * 255 / width shl 16) or (y * 255 / height shl 8) or ((x + y) * 255 / (width + height))
                image.setRGB(x, y, (0xff shl 24) or rgb)
            }
        }
        return image
    }

    private fun encoded(image: BufferedImage, format: String): ByteArray {
        val out = ByteArrayOutputStream()
        val writer = ImageIO.getImageWritersByFormatName(format).next()
        val options = writer.defaultWriteParam
        if (format == "jpg") {
            options.compressionMode = ImageWriteParam.MODE_EXPLICIT
            options.compressionQuality = 0.95f
        }
        ImageIO.createImageOutputStream(out).use { stream ->
            writer.output = stream
            writer.write(null, IIOImage(image, null, null), options)
        }
        return out.toByteArray()
    }

    private fun pixels(image: BufferedImage) = ByteArray(image.width * image.height * 3) {
        (image.getRGB(it / 3 % image.width, it / 3 / image.width) shr (16 - 8 * (it % 3))).toByte()
    }

    @Test
    fun aPngIsItsPixels() {
        val image = smooth(37, 21)
        val decoded = Pictures.decode(encoded(image, "png"), applyOrientation = false)
        assertEquals(21 to 37, decoded.height to decoded.width)
        assertArrayEquals(pixels(image), decoded.pixels)
    }

    @Test
    fun transparencyIsDropped() {
        val image = BufferedImage(2, 1, BufferedImage.TYPE_INT_ARGB)
        image.setRGB(0, 0, 0x80c86432.toInt())
        image.setRGB(1, 0, 0x010a141e)
        val decoded = Pictures.decode(encoded(image, "png"), applyOrientation = false)
        assertArrayEquals(byteArrayOf(0xc8.toByte(), 0x64, 0x32, 0x0a, 0x14, 0x1e), decoded.pixels)
    }

    @Test
    fun aJpegIsDecodedAsByJava() {
        val file = encoded(smooth(160, 120), "jpg")
        val expected = pixels(ImageIO.read(file.inputStream()))
        val decoded = Pictures.decode(file, applyOrientation = false)
        val worst = expected.indices.maxOf { abs((expected[it].toInt() and 0xff) - (decoded.pixels[it].toInt() and 0xff)) }
        assertTrue("differs by $worst levels", worst <= 4)
    }

    @Test
    fun theOrientationIsAppliedWhenItIsAskedFor() {
        val plain = encoded(smooth(30, 20), "jpg")
        val exif = byteArrayOf(
            -1, 0xe1.toByte(), 0, 34, 'E'.code.toByte(), 'x'.code.toByte(), 'i'.code.toByte(), 'f'.code.toByte(), 0, 0,
            'M'.code.toByte(), 'M'.code.toByte(), 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0,
        )
        val turned = plain.copyOf(2) + exif + plain.copyOfRange(2, plain.size)
        val stored = Pictures.decode(turned, applyOrientation = false)
        val upright = Pictures.decode(turned, applyOrientation = true)
        assertEquals(20 to 30, stored.height to stored.width)
        assertEquals(30 to 20, upright.height to upright.width)
        assertEquals(stored.pixels[(19 * 30) * 3], upright.pixels[0])
    }

    @Test
    fun whatIsNoPictureIsTold() {
        for (file in listOf(ByteArray(0), "no picture".toByteArray(), encoded(smooth(30, 20), "png").copyOf(30))) {
            assertThrows(MobileDetException::class.java) { Pictures.decode(file, applyOrientation = false) }
        }
    }

    @Test
    fun bitmapsOfEveryKindAreRead() {
        val image = Pictures.decode(encoded(smooth(16, 8), "png"), applyOrientation = false)
        val bitmap = Pictures.bitmap(image)
        assertArrayEquals(image.pixels, Pictures.pixels(bitmap).pixels)
        val coarse = Pictures.pixels(bitmap.copy(Bitmap.Config.RGB_565, false))
        assertTrue(image.pixels.indices.all { abs((image.pixels[it].toInt() and 0xff) - (coarse.pixels[it].toInt() and 0xff)) <= 8 })
    }
}
