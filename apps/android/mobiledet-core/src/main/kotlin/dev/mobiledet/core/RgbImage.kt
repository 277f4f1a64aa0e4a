package dev.mobiledet.core

/** An image of [height] x [width] x 3 bytes, RGB, row by row. */
public class RgbImage(public val height: Int, public val width: Int, public val pixels: ByteArray) : Frame() {
    init {
        require(height > 0 && width > 0 && pixels.size.toLong() == height.toLong() * width * CHANNELS) {
            "${pixels.size} bytes are not an image of $height x $width x $CHANNELS"
        }
    }

    override val layout: Layout = Layout(Crop(0, 0, width, height), width * CHANNELS, CHANNELS)

    override fun toRgb(): RgbImage = this

    public companion object {
        public const val CHANNELS: Int = 3
    }
}
