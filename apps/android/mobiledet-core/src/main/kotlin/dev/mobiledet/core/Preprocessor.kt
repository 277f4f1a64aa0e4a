package dev.mobiledet.core

private const val ROW_SHIFT = 4
private const val SUM_SHIFT = 16
private const val CHANNELS = RgbImage.CHANNELS

/**
 * Makes the input of a model from images and camera frames, in one pass over their samples.
 *
 * The result equals, to the bit, that of these steps: convert the frame to RGB ([YuvMatrix]), cut out its [Crop], turn it
 * upright, resize it in the integer arithmetic of the host. Resizing first reduces each side by the largest power of two
 * that leaves at least the model's size: a pixel is the mean of its block, halves rounded up; if the last block is incomplete,
 * the last row or column is repeated. Sampling `bilinear` skips this. Then it interpolates bilinearly, with pixel centres at
 * half, weights of 11 bits and sums rounded as in OpenCV's INTER_LINEAR. For a letterbox the target size is the part of the
 * input that shows the picture, see [Placement]; the rest is padding.
 *
 * Buffers and tables are made anew when size, strides, crop or orientation of the frames change; otherwise a frame allocates
 * nothing. Not thread-safe.
 */
public class Preprocessor(private val input: InputSpec) {
    private val result = RgbImage(input.height, input.width, ByteArray(input.height * input.width * CHANNELS))
    private var layout: Layout? = null
    private var orientation = Orientation.UPRIGHT
    private lateinit var rows: Axis
    private lateinit var columns: Axis
    private lateinit var source: MeanRows
    private var means = IntArray(0)
    private val stretched = Array(2) { IntArray(0) } // the latest two rows of the source in the width of the result
    private val numbers = IntArray(2)

    /** The position of the last picture in the input. */
    public lateinit var placement: Placement
        private set

    /**
     * Makes the input from a frame; its planes are not used after the call.
     *
     * @param orientation how the frame must be turned to be upright.
     * @return the input, in memory that the next call overwrites.
     */
    @JvmOverloads
    public fun prepare(frame: Frame, orientation: Orientation = Orientation.UPRIGHT): RgbImage {
        if (frame.layout != layout || orientation != this.orientation) plan(frame, orientation)
        source.load(frame)
        if (rows.isExact && columns.isExact) copy() else interpolate()
        return result
    }

    private fun plan(frame: Frame, orientation: Orientation) {
        val plan = frame.layout
        val crop = plan.crop
        fun across(isReversed: Boolean) = Side(crop.left, crop.width, isReversed, plan.pixelStride, plan.chromaPixelStride)
        fun down(isReversed: Boolean) = Side(crop.top, crop.height, isReversed, plan.rowStride, plan.chromaRowStride)
        val horizontal = orientation.fromRight.let { if (orientation.swapsSides) down(it) else across(it) }
        val vertical = orientation.fromBelow.let { if (orientation.swapsSides) across(it) else down(it) }
        placement = Placement.of(vertical.length, horizontal.length, input)
        val averages = input.sampling == "mean"
        rows = Axis(vertical, placement.height, averages, clipsWeights = false)
        columns = Axis(horizontal, placement.width, averages, clipsWeights = true)
        source = if (frame is YuvImage) YuvRows(rows, columns) else PackedRows(rows, columns)
        means = IntArray(columns.blocks * CHANNELS)
        for (slot in 0..1) stretched[slot] = IntArray(placement.width * CHANNELS)
        result.pixels.fill(input.paddingValue.toByte())
        layout = plan
        this.orientation = orientation
    }

    /** Position of a row of the picture in the result. */
    private fun start(y: Int) = ((placement.top + y) * input.width + placement.left) * CHANNELS

    private fun copy() {
        for (y in 0 until placement.height) {
            source.read(y, means)
            val at = start(y)
            for (index in means.indices) result.pixels[at + index] = means[index].toByte()
        }
    }

    private fun interpolate() {
        numbers.fill(-1)
        val out = result.pixels
        for (y in 0 until placement.height) {
            val upper = row(rows.first[y])
            val lower = row(rows.second[y])
            val upperWeight = rows.firstWeight[y]
            val lowerWeight = rows.secondWeight[y]
            val at = start(y)
            for (index in upper.indices) {
                val sum = (upperWeight * upper[index] shr SUM_SHIFT) + (lowerWeight * lower[index] shr SUM_SHIFT)
                out[at + index] = (sum + 2 shr 2).toByte()
            }
        }
    }

    /** A row of the source in the width of the result. */
    private fun row(number: Int): IntArray {
        val slot = number and 1
        if (numbers[slot] != number) {
            numbers[slot] = number
            source.read(number, means)
            stretch(stretched[slot])
        }
        return stretched[slot]
    }

    private fun stretch(row: IntArray) {
        val means = means
        if (columns.isExact) {
            for (index in row.indices) row[index] = means[index] shl WEIGHT_BITS - ROW_SHIFT
            return
        }
        val columns = columns
        var at = 0
        for (x in columns.first.indices) {
            val first = columns.first[x] * CHANNELS
            val second = columns.second[x] * CHANNELS
            val firstWeight = columns.firstWeight[x]
            val secondWeight = columns.secondWeight[x]
            row[at] = means[first] * firstWeight + means[second] * secondWeight shr ROW_SHIFT
            row[at + 1] = means[first + 1] * firstWeight + means[second + 1] * secondWeight shr ROW_SHIFT
            row[at + 2] = means[first + 2] * firstWeight + means[second + 2] * secondWeight shr ROW_SHIFT
            at += CHANNELS
        }
    }
}
