package dev.mobiledet.core

import java.nio.ByteBuffer

private const val CHROMA_CENTRE = 128
private const val BITS = 16
private const val HALF = 1 shl (BITS - 1)

// JFIF's (BT.601, full range) matrix in fixed point
private const val RED_V = 91881
private const val GREEN_U = -22554
private const val GREEN_V = -46802
private const val BLUE_U = 116130

/** One plane of a camera image: rows [rowStride] bytes apart, samples [pixelStride] bytes apart. */
public class YuvPlane(public val bytes: ByteBuffer, public val rowStride: Int, public val pixelStride: Int)

/** A camera image with one sample of each chroma for 2 x 2 pixels, as Android's YUV_420_888 and iOS's 420f. */
public class YuvImage(
    public val height: Int,
    public val width: Int,
    private val y: YuvPlane,
    private val u: YuvPlane,
    private val v: YuvPlane,
) {
    /** Converts to RGB by JFIF's matrix; each chroma sample is used for its four pixels. */
    public fun toRgb(): RgbImage {
        val out = ByteArray(height * width * RgbImage.CHANNELS)
        var at = 0
        for (row in 0 until height) {
            val lumaRow = row * y.rowStride
            val uRow = row / 2 * u.rowStride
            val vRow = row / 2 * v.rowStride
            for (column in 0 until width) {
                val luma = (y.bytes.get(lumaRow + column * y.pixelStride).toInt() and 0xff) shl BITS
                val blue = (u.bytes.get(uRow + column / 2 * u.pixelStride).toInt() and 0xff) - CHROMA_CENTRE
                val red = (v.bytes.get(vRow + column / 2 * v.pixelStride).toInt() and 0xff) - CHROMA_CENTRE
                out[at++] = level(luma + RED_V * red)
                out[at++] = level(luma + GREEN_U * blue + GREEN_V * red)
                out[at++] = level(luma + BLUE_U * blue)
            }
        }
        return RgbImage(height, width, out)
    }

    private fun level(value: Int): Byte = (value + HALF shr BITS).coerceIn(0, 255).toByte()
}
