package dev.mobiledet.core

import java.nio.Buffer
import java.nio.ByteBuffer

/** An image in memory, as a camera or a decoder left it; [Preprocessor] makes a model's input from it. */
public sealed class Frame {
    internal abstract val layout: Layout

    /** The part of the frame that is the picture. */
    public val crop: Crop get() = layout.crop

    /** The picture as an image of its own, not turned. Detection does not need it. */
    public abstract fun toRgb(): RgbImage
}

/** A part of a frame, in pixels of the frame as stored. */
public data class Crop(val left: Int, val top: Int, val width: Int, val height: Int) {
    internal fun within(height: Int, width: Int): Crop = apply {
        require(left >= 0 && top >= 0 && this.width > 0 && this.height > 0 && left + this.width <= width && top + this.height <= height) {
            "a crop of ${this.height} x ${this.width} at $top, $left is not in an image of $height x $width"
        }
    }
}

/** One plane of a frame: rows [rowStride] bytes apart, samples [pixelStride] bytes apart, from the buffer's start on. */
public class Plane(internal val bytes: ByteBuffer, internal val rowStride: Int, internal val pixelStride: Int) {
    /** Requires that the buffer holds [height] x [width] samples of [size] bytes. */
    internal fun holding(height: Int, width: Int, size: Int = 1): Plane = apply {
        val needed = (height - 1L) * rowStride + (width - 1L) * pixelStride + size
        require(height > 0 && width > 0 && rowStride > 0 && pixelStride > 0 && needed <= bytes.limit()) {
            "${bytes.limit()} bytes do not hold $height x $width samples with strides of $rowStride and $pixelStride"
        }
    }

    /** The same in memory of its own. */
    internal fun copy(): Plane = Plane(ByteBuffer.wrap(copy(ByteArray(0))), rowStride, pixelStride)

    /** Copies the bytes into [array], or into a new one if it is too small: arrays are read much faster than buffers. */
    internal fun copy(array: ByteArray): ByteArray {
        val target = if (array.size >= bytes.limit()) array else ByteArray(bytes.limit())
        val buffer: Buffer = bytes // whose methods have the same types in every version of Java
        val position = buffer.position()
        buffer.position(0)
        bytes.get(target, 0, buffer.limit())
        buffer.position(position)
        return target
    }
}

/** Where the samples of a frame lie, and those of its halved planes if it has some: strides in bytes. */
internal data class Layout(
    val crop: Crop,
    val rowStride: Int,
    val pixelStride: Int,
    val chromaRowStride: Int = 0,
    val chromaPixelStride: Int = 0,
)

/**
 * An image whose pixels are bytes in one plane, such as RGBA.
 *
 * @param red [red], [green] and [blue] are the positions of the colours in the bytes of a pixel.
 */
public class PackedImage @JvmOverloads constructor(
    height: Int,
    width: Int,
    plane: Plane,
    internal val red: Int = 0,
    internal val green: Int = 1,
    internal val blue: Int = 2,
    crop: Crop = Crop(0, 0, width, height),
) : Frame() {
    internal val plane = plane.holding(height, width, maxOf(red, green, blue) + 1)
    override val layout: Layout = Layout(crop.within(height, width), plane.rowStride, plane.pixelStride)

    override fun toRgb(): RgbImage {
        val pixels = ByteArray(crop.height * crop.width * RgbImage.CHANNELS)
        var at = 0
        for (y in crop.top until crop.top + crop.height) {
            for (x in crop.left until crop.left + crop.width) {
                val from = y * plane.rowStride + x * plane.pixelStride
                pixels[at++] = plane.bytes.get(from + red)
                pixels[at++] = plane.bytes.get(from + green)
                pixels[at++] = plane.bytes.get(from + blue)
            }
        }
        return RgbImage(crop.height, crop.width, pixels)
    }
}
