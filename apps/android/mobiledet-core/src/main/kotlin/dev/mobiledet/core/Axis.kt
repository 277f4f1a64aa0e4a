package dev.mobiledet.core

internal const val WEIGHT_BITS: Int = 11
private const val ONE = 1 shl WEIGHT_BITS

/** The pixels of a frame along one side of its upright picture: [length] from [start] on, [step] bytes apart. */
internal class Side(val start: Int, val length: Int, val isReversed: Boolean, val step: Int, val chromaStep: Int)

/**
 * How one side of the upright picture becomes one of [target] pixels: tables of [Preprocessor].
 *
 * @param averages whether to reduce the side to means of blocks first.
 * @param clipsWeights use the nearest pixel beyond the ends; OpenCV does so along rows only, and repeats the outermost rows.
 */
internal class Axis(side: Side, target: Int, averages: Boolean, clipsWeights: Boolean) {
    /** Pixels of a block. */
    val block: Int = if (averages) maxOf(1, Integer.highestOneBit(side.length / target)) else 1

    /** Whether each block is a pixel of the result. */
    val isExact: Boolean = side.length.toDouble() / block == target.toDouble()

    /** For each pixel of the result: its two neighbours among the used blocks and their weights, whose sum is [ONE]. */
    val first = IntArray(target)
    val second = IntArray(target)
    val firstWeight = IntArray(target)
    val secondWeight = IntArray(target)

    /** Number of blocks that the result depends on. */
    val blocks: Int

    /** Positions in the frame's plane of [block] pixels for each of these blocks; the last pixel is repeated to fill its block. */
    val samples: IntArray

    /** The same in the halved planes. */
    val chroma: IntArray

    init {
        val all = (side.length + block - 1) / block
        weigh(all, side.length.toDouble() / block, clipsWeights)
        val places = IntArray(all)
        for (index in 0 until target) {
            places[first[index]] = 1
            places[second[index]] = 1
        }
        blocks = places.sum()
        samples = IntArray(blocks * block)
        chroma = IntArray(blocks * block)
        var used = 0
        for (number in 0 until all) {
            if (places[number] == 0) continue
            for (offset in 0 until block) {
                val upright = minOf(number * block + offset, side.length - 1)
                val stored = side.start + if (side.isReversed) side.length - 1 - upright else upright
                samples[used * block + offset] = stored * side.step
                chroma[used * block + offset] = stored / 2 * side.chromaStep
            }
            places[number] = used++
        }
        for (index in 0 until target) {
            first[index] = places[first[index]]
            second[index] = places[second[index]]
        }
    }

    /** [realLength] is the length of the content in blocks, which may end within the last one. */
    private fun weigh(blocks: Int, realLength: Double, clipsWeights: Boolean) {
        val scale = 1.0 / (first.size / realLength)
        for (index in first.indices) {
            val position = ((index + 0.5) * scale - 0.5).toFloat()
            var low = Math.floor(position.toDouble()).toInt()
            var fraction = position - low
            if (clipsWeights && low < 0) { low = 0; fraction = 0f }
            if (clipsWeights && low >= blocks - 1) { low = blocks - 1; fraction = 0f }
            firstWeight[index] = Math.rint(((1f - fraction) * ONE).toDouble()).toInt()
            secondWeight[index] = Math.rint((fraction * ONE).toDouble()).toInt()
            first[index] = low.coerceIn(0, blocks - 1)
            // a block without weight is not read
            second[index] = if (secondWeight[index] == 0) first[index] else (low + 1).coerceIn(0, blocks - 1)
        }
    }
}
