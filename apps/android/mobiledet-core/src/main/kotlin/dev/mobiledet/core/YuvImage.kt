package dev.mobiledet.core

private const val LEVELS = 256
private const val CHROMA_CENTRE = 128
private const val BITS = 16
private const val HALF = 1 shl (BITS - 1)

/**
 * How luma and chroma become RGB, in fixed point with 16 bits.
 *
 * `BT601_FULL` is that of JFIF, with its rounded decimals, which Android's cameras use; the others follow ITU-R BT.601 and
 * BT.709, whose video range has luma from 16 to 235 and chroma from 16 to 240.
 */
public enum class YuvMatrix(
    private val black: Int, private val luma: Int, redV: Int, greenU: Int, greenV: Int, blueU: Int,
) {
    BT601_FULL(0, 65536, 91881, -22554, -46802, 116130),
    BT601_VIDEO(16, 76309, 104597, -25675, -53279, 132201),
    BT709_FULL(0, 65536, 103206, -12276, -30679, 121609),
    BT709_VIDEO(16, 76309, 117489, -13975, -34925, 138438),
    ;

    // what each value of a chroma sample adds to a colour
    private val redV = IntArray(LEVELS) { (it - CHROMA_CENTRE) * redV }
    private val greenU = IntArray(LEVELS) { (it - CHROMA_CENTRE) * greenU }
    private val greenV = IntArray(LEVELS) { (it - CHROMA_CENTRE) * greenV }
    private val blueU = IntArray(LEVELS) { (it - CHROMA_CENTRE) * blueU }

    internal fun level(y: Byte): Int = (value(y) - black) * luma + HALF

    internal fun red(v: Byte): Int = redV[value(v)]

    internal fun green(u: Byte, v: Byte): Int = greenU[value(u)] + greenV[value(v)]

    internal fun blue(u: Byte): Int = blueU[value(u)]

    /** The colour of a sum of a level and what chroma adds. */
    internal fun colour(sum: Int): Int = Math.max(0, Math.min(255, sum shr BITS))

    private fun value(sample: Byte) = sample.toInt() and 0xff
}

/**
 * A camera image with one sample of each chroma for 2 x 2 pixels, as Android's YUV_420_888.
 *
 * @param height [height] and [width] are those of the luma plane.
 * @param crop the part of it that is the picture.
 */
public class YuvImage @JvmOverloads constructor(
    private val height: Int,
    private val width: Int,
    y: Plane,
    u: Plane,
    v: Plane,
    public val matrix: YuvMatrix = YuvMatrix.BT601_FULL,
    crop: Crop = Crop(0, 0, width, height),
) : Frame() {
    internal val y = y.holding(height, width)
    internal val u = u.holding((height + 1) / 2, (width + 1) / 2)
    internal val v = v.holding((height + 1) / 2, (width + 1) / 2)

    init {
        require(u.rowStride == v.rowStride && u.pixelStride == v.pixelStride) { "the chroma planes differ in their strides" }
    }

    override val layout: Layout =
        Layout(crop.within(height, width), y.rowStride, y.pixelStride, u.rowStride, u.pixelStride)

    /** The same in memory of its own, for later: a camera takes back the planes of its frames. */
    public fun copy(): YuvImage = YuvImage(height, width, y.copy(), u.copy(), v.copy(), matrix, crop)

    /** Each chroma sample is used for its four pixels. */
    override fun toRgb(): RgbImage {
        val out = ByteArray(crop.height * crop.width * RgbImage.CHANNELS)
        var at = 0
        for (row in crop.top until crop.top + crop.height) {
            for (column in crop.left until crop.left + crop.width) {
                val level = matrix.level(y.bytes.get(row * y.rowStride + column * y.pixelStride))
                val chroma = row / 2 * u.rowStride + column / 2 * u.pixelStride
                val blue = u.bytes.get(chroma)
                val red = v.bytes.get(chroma)
                out[at++] = matrix.colour(level + matrix.red(red)).toByte()
                out[at++] = matrix.colour(level + matrix.green(blue, red)).toByte()
                out[at++] = matrix.colour(level + matrix.blue(blue)).toByte()
            }
        }
        return RgbImage(crop.height, crop.width, out)
    }
}
