package dev.mobiledet.android

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import dev.mobiledet.core.Exif
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.PackedImage
import dev.mobiledet.core.Plane
import dev.mobiledet.core.RgbImage
import java.nio.ByteBuffer

private const val PIXEL_BYTES = 4
private val PROBE_BYTES = byteArrayOf(10, 20, 30, -1)
private const val PROBE_COLOUR = 0xff0a141e.toInt()

/** Converts image files and bitmaps to RGB bytes without colour management, as the host decodes them. */
public object Pictures {
    // positions of red, green, blue and alpha in a pixel's bytes: in this order on phones, but it is not guaranteed
    private val places: IntArray by lazy {
        val probe = Bitmap.createBitmap(1, 1, Bitmap.Config.ARGB_8888).apply { setPixel(0, 0, PROBE_COLOUR) }
        val raw = ByteBuffer.allocate(PIXEL_BYTES).also { probe.copyPixelsToBuffer(it) }.array()
        IntArray(PIXEL_BYTES) { channel -> raw.indexOf(PROBE_BYTES[channel]) }
    }

    /**
     * Decodes a JPEG or PNG file; transparency is dropped.
     *
     * @param applyOrientation turn it by its EXIF orientation.
     * @throws MobileDetException it is not an image, or too large for the phone.
     */
    @JvmStatic
    public fun decode(file: ByteArray, applyOrientation: Boolean): RgbImage {
        val options = BitmapFactory.Options().apply {
            inPreferredConfig = Bitmap.Config.ARGB_8888
            inScaled = false
            inPremultiplied = false
        }
        val bitmap = try {
            BitmapFactory.decodeByteArray(file, 0, file.size, options)
        } catch (error: OutOfMemoryError) {
            throw MobileDetException("it is too large for the memory of this phone", error)
        } ?: throw MobileDetException("it is not an image of a known format, or it is damaged")
        val image = pixels(bitmap)
        bitmap.recycle()
        return if (applyOrientation) Exif.orientation(file).turn(image) else image
    }

    /** Converts a bitmap to RGB. */
    @JvmStatic
    public fun pixels(bitmap: Bitmap): RgbImage = frame(bitmap).toRgb()

    /** The bytes of a bitmap, in its own colour space. */
    internal fun frame(bitmap: Bitmap): PackedImage {
        if (bitmap.config != Bitmap.Config.ARGB_8888) {
            val copy = bitmap.copy(Bitmap.Config.ARGB_8888, false) ?: throw MobileDetException("the bitmap cannot be read")
            return frame(copy).also { copy.recycle() }
        }
        // not getPixels(), which converts colours to sRGB
        val raw = ByteBuffer.allocate(bitmap.rowBytes * bitmap.height)
        bitmap.copyPixelsToBuffer(raw)
        val (red, green, blue) = places
        return PackedImage(bitmap.height, bitmap.width, Plane(raw, bitmap.rowBytes, PIXEL_BYTES), red, green, blue)
    }

    /** Converts an image to a bitmap. */
    @JvmStatic
    public fun bitmap(image: RgbImage): Bitmap {
        val raw = ByteArray(image.height * image.width * PIXEL_BYTES)
        for (pixel in 0 until image.height * image.width) {
            for (channel in 0 until RgbImage.CHANNELS) {
                raw[pixel * PIXEL_BYTES + places[channel]] = image.pixels[pixel * RgbImage.CHANNELS + channel]
            }
            raw[pixel * PIXEL_BYTES + places[RgbImage.CHANNELS]] = -1
        }
        return Bitmap.createBitmap(image.width, image.height, Bitmap.Config.ARGB_8888).apply { copyPixelsFromBuffer(ByteBuffer.wrap(raw)) }
    }
}
