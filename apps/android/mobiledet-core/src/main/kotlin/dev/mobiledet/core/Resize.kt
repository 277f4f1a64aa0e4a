package dev.mobiledet.core

private const val COEFFICIENT_BITS = 11
private const val ONE = 1 shl COEFFICIENT_BITS
private const val ROW_SHIFT = 4
private const val SUM_SHIFT = 16

/**
 * Resizes an image to the input of a model, in integer arithmetic and equal to the host's result.
 *
 * Each side is first reduced by the largest power of two that leaves at least the model's size: a pixel is the mean of its
 * block, halves rounded up; if the last block is incomplete, the last row or column is repeated. The result is then
 * resized bilinearly, with pixel centres at half, weights of 11 bits and sums rounded as in OpenCV's INTER_LINEAR. For a
 * letterbox the target size is the part of the input that shows the image, see [Placement].
 */
public object Resize {
    /** Resizes an image to the input of a model. */
    @JvmStatic
    public fun fit(image: RgbImage, input: InputSpec): RgbImage {
        val part = Placement.of(image.height, image.width, input)
        return padded(stretch(image, part.height, part.width, averages = input.sampling == "mean"), part, input)
    }

    private fun padded(shown: RgbImage, part: Placement, input: InputSpec): RgbImage {
        if (part.height == input.height && part.width == input.width) return shown
        val row = part.width * RgbImage.CHANNELS
        val out = ByteArray(input.height * input.width * RgbImage.CHANNELS).apply { fill(input.paddingValue.toByte()) }
        for (y in 0 until part.height) {
            val at = ((part.top + y) * input.width + part.left) * RgbImage.CHANNELS
            shown.pixels.copyInto(out, at, y * row, (y + 1) * row)
        }
        return RgbImage(input.height, input.width, out)
    }

    /** Resizes an image to height x width; [averages] says whether to reduce it by block means first. */
    @JvmStatic
    public fun stretch(image: RgbImage, height: Int, width: Int, averages: Boolean): RgbImage {
        if (image.height == height && image.width == width) return image
        val blockRows = if (averages) blockSize(image.height, height) else 1
        val blockColumns = if (averages) blockSize(image.width, width) else 1
        val means = blockMeans(image, blockRows, blockColumns)
        return bilinear(means, image.height.toDouble() / blockRows, image.width.toDouble() / blockColumns, height, width)
    }

    private fun blockSize(source: Int, target: Int): Int = maxOf(1, Integer.highestOneBit(source / target))

    private fun blockMeans(image: RgbImage, rows: Int, columns: Int): RgbImage {
        if (rows == 1 && columns == 1) return image
        val height = (image.height + rows - 1) / rows
        val width = (image.width + columns - 1) / columns
        val missing = width * columns - image.width
        val shift = Integer.numberOfTrailingZeros(rows) + Integer.numberOfTrailingZeros(columns)
        val half = rows * columns shr 1
        val out = ByteArray(height * width * RgbImage.CHANNELS)
        val sums = IntArray(width * RgbImage.CHANNELS)
        for (y in 0 until height) {
            sums.fill(0)
            for (row in y * rows until (y + 1) * rows) {
                var at = minOf(row, image.height - 1) * image.width * RgbImage.CHANNELS
                for (x in 0 until image.width) {
                    val block = x / columns * RgbImage.CHANNELS
                    for (channel in 0 until RgbImage.CHANNELS) sums[block + channel] += image.pixels[at++].toInt() and 0xff
                }
                for (channel in 0 until RgbImage.CHANNELS) {
                    val last = image.pixels[at - RgbImage.CHANNELS + channel].toInt() and 0xff
                    sums[sums.size - RgbImage.CHANNELS + channel] += missing * last
                }
            }
            for (index in sums.indices) out[y * sums.size + index] = (sums[index] + half shr shift).toByte()
        }
        return RgbImage(height, width, out)
    }

    /** [realHeight] and [realWidth] are the size of the content, which may end within the last row or column. */
    private fun bilinear(image: RgbImage, realHeight: Double, realWidth: Double, height: Int, width: Int): RgbImage {
        if (realHeight == height.toDouble() && realWidth == width.toDouble()) return image
        val columns = Taps.of(image.width, realWidth, width, clipWeights = true)
        val rows = Taps.of(image.height, realHeight, height, clipWeights = false)
        val sums = RowSums(image, columns, width)
        val out = ByteArray(height * width * RgbImage.CHANNELS)
        var at = 0
        for (y in 0 until height) {
            val upper = sums.row(rows.first[y])
            val lower = sums.row(rows.second[y])
            val upperWeight = rows.firstWeight[y]
            val lowerWeight = rows.secondWeight[y]
            for (index in 0 until width * RgbImage.CHANNELS) {
                val sum = (upperWeight * (upper[index] shr ROW_SHIFT) shr SUM_SHIFT) +
                    (lowerWeight * (lower[index] shr ROW_SHIFT) shr SUM_SHIFT)
                out[at++] = (sum + 2 shr 2).coerceIn(0, 255).toByte()
            }
        }
        return RgbImage(height, width, out)
    }

    /** For each position in the result: its two neighbours in the source and their weights, whose sum is [ONE]. */
    private class Taps(val first: IntArray, val second: IntArray, val firstWeight: IntArray, val secondWeight: IntArray) {
        companion object {
            fun of(source: Int, realSource: Double, target: Int, clipWeights: Boolean): Taps {
                val taps = Taps(IntArray(target), IntArray(target), IntArray(target), IntArray(target))
                val scale = 1.0 / (target / realSource)
                for (index in 0 until target) {
                    val position = ((index + 0.5) * scale - 0.5).toFloat()
                    var low = Math.floor(position.toDouble()).toInt()
                    var fraction = position - low
                    // beyond the edge, weights are clipped along rows, and row indices along columns
                    if (clipWeights && low < 0) { low = 0; fraction = 0f }
                    if (clipWeights && low >= source - 1) { low = source - 1; fraction = 0f }
                    taps.first[index] = low.coerceIn(0, source - 1)
                    taps.second[index] = (low + 1).coerceIn(0, source - 1)
                    taps.firstWeight[index] = Math.rint(((1f - fraction) * ONE).toDouble()).toInt()
                    taps.secondWeight[index] = Math.rint((fraction * ONE).toDouble()).toInt()
                }
                return taps
            }
        }
    }

    /** Rows of the source, resized to the width of the result; the latest two are cached. */
    private class RowSums(private val image: RgbImage, private val columns: Taps, private val width: Int) {
        private val kept = Array(2) { IntArray(width * RgbImage.CHANNELS) }
        private val numbers = intArrayOf(-1, -1)

        fun row(number: Int): IntArray {
            val slot = number and 1
            if (numbers[slot] != number) {
                numbers[slot] = number
                fill(kept[slot], number * image.width * RgbImage.CHANNELS)
            }
            return kept[slot]
        }

        private fun fill(row: IntArray, start: Int) {
            val pixels = image.pixels
            var at = 0
            for (x in 0 until width) {
                val first = start + columns.first[x] * RgbImage.CHANNELS
                val second = start + columns.second[x] * RgbImage.CHANNELS
                val firstWeight = columns.firstWeight[x]
                val secondWeight = columns.secondWeight[x]
                for (channel in 0 until RgbImage.CHANNELS) {
                    row[at++] = (pixels[first + channel].toInt() and 0xff) * firstWeight +
                        (pixels[second + channel].toInt() and 0xff) * secondWeight
                }
            }
        }
    }
}
