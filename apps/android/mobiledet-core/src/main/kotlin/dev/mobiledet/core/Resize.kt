package dev.mobiledet.core

private const val COEFFICIENT_BITS = 11
private const val ONE = 1 shl COEFFICIENT_BITS
private const val ROW_SHIFT = 4
private const val SUM_SHIFT = 16

/**
 * Bilinear stretching with pixel centres at half, in whole numbers.
 *
 * Weights have 11 bits and sums are rounded as OpenCV's INTER_LINEAR does on bytes, so that a phone feeds the model what
 * the host would.
 */
public object Resize {
    /** Stretches an image to height x width; the image itself if it has that size. */
    @JvmStatic
    public fun stretch(image: RgbImage, height: Int, width: Int): RgbImage {
        if (image.height == height && image.width == width) return image
        val columns = Taps.of(image.width, width, clipWeights = true)
        val rows = Taps.of(image.height, height, clipWeights = false)
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

    /** For each place of the result the two neighbours in the source and their weights, which add up to [ONE]. */
    private class Taps(val first: IntArray, val second: IntArray, val firstWeight: IntArray, val secondWeight: IntArray) {
        companion object {
            fun of(source: Int, target: Int, clipWeights: Boolean): Taps {
                val taps = Taps(IntArray(target), IntArray(target), IntArray(target), IntArray(target))
                val scale = 1.0 / (target.toDouble() / source)
                for (index in 0 until target) {
                    val place = ((index + 0.5) * scale - 0.5).toFloat()
                    var low = Math.floor(place.toDouble()).toInt()
                    var fraction = place - low
                    // beyond the edge: in a row the weights are clipped, between rows the rows are
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

    /** Rows of the source, stretched to the width of the result; the latest two are kept. */
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
