package dev.mobiledet.core

/** Reads frames of one layout as rows of block means, upright and in RGB. */
internal abstract class MeanRows(private val rows: Axis, protected val columns: Axis) {
    private val shift = Integer.numberOfTrailingZeros(rows.block * columns.block)
    private val half = rows.block * columns.block shr 1
    protected val columnShift = Integer.numberOfTrailingZeros(columns.block)

    abstract fun load(frame: Frame)

    /** Computes a row of used blocks, halves rounded up. */
    fun read(row: Int, means: IntArray) {
        means.fill(half)
        for (number in row * rows.block until (row + 1) * rows.block) add(rows.samples[number], rows.chroma[number], means)
        if (shift > 0) for (index in means.indices) means[index] = means[index] shr shift
    }

    /**
     * Adds the pixels of a row of the frame, which begins at these positions, to the sums of their blocks.
     *
     * One loop over local variables: with an inner loop over the few pixels of a block it takes twice as long on a JVM.
     */
    protected abstract fun add(row: Int, chromaRow: Int, sums: IntArray)
}

internal class YuvRows(rows: Axis, columns: Axis) : MeanRows(rows, columns) {
    private var y = ByteArray(0)
    private var u = ByteArray(0)
    private var v = ByteArray(0)
    private var matrix = YuvMatrix.BT601_FULL

    // what chroma adds to the colours of a row's pixels; two rows share it
    private val reds = IntArray(columns.samples.size)
    private val greens = IntArray(columns.samples.size)
    private val blues = IntArray(columns.samples.size)
    private var latest = -1

    override fun load(frame: Frame) {
        frame as YuvImage
        y = frame.y.copy(y)
        u = frame.u.copy(u)
        v = frame.v.copy(v)
        matrix = frame.matrix
        latest = -1
    }

    override fun add(row: Int, chromaRow: Int, sums: IntArray) {
        if (chromaRow != latest) readChroma(chromaRow)
        if (columns.block == 1) addPixels(row, sums) else addPairs(row, sums)
    }

    private fun readChroma(row: Int) {
        latest = row
        val u = u
        val v = v
        val places = columns.chroma
        val matrix = matrix
        for (column in places.indices) {
            val blue = u[row + places[column]]
            val red = v[row + places[column]]
            reds[column] = matrix.red(red)
            greens[column] = matrix.green(blue, red)
            blues[column] = matrix.blue(blue)
        }
    }

    private fun addPixels(row: Int, sums: IntArray) {
        val y = y
        val places = columns.samples
        val matrix = matrix
        var at = 0
        for (column in places.indices) {
            val level = matrix.level(y[row + places[column]])
            sums[at++] += matrix.colour(level + reds[column])
            sums[at++] += matrix.colour(level + greens[column])
            sums[at++] += matrix.colour(level + blues[column])
        }
    }

    /** Of blocks, whose number of columns is even. */
    private fun addPairs(row: Int, sums: IntArray) {
        val y = y
        val places = columns.samples
        val matrix = matrix
        val reds = reds
        val greens = greens
        val blues = blues
        val pairShift = columnShift - 1
        for (pair in 0 until places.size / 2) {
            val left = 2 * pair
            val right = left + 1
            val leftLevel = matrix.level(y[row + places[left]])
            val rightLevel = matrix.level(y[row + places[right]])
            val at = (pair shr pairShift) * RgbImage.CHANNELS
            sums[at] += matrix.colour(leftLevel + reds[left]) + matrix.colour(rightLevel + reds[right])
            sums[at + 1] += matrix.colour(leftLevel + greens[left]) + matrix.colour(rightLevel + greens[right])
            sums[at + 2] += matrix.colour(leftLevel + blues[left]) + matrix.colour(rightLevel + blues[right])
        }
    }
}

internal class PackedRows(rows: Axis, columns: Axis) : MeanRows(rows, columns) {
    private var copied = ByteArray(0)
    private var bytes = copied
    private var red = 0
    private var green = 1
    private var blue = 2

    override fun load(frame: Frame) {
        if (frame is PackedImage) {
            copied = frame.plane.copy(copied)
            bytes = copied
            red = frame.red
            green = frame.green
            blue = frame.blue
        } else {
            bytes = (frame as RgbImage).pixels
            red = 0
            green = 1
            blue = 2
        }
    }

    override fun add(row: Int, chromaRow: Int, sums: IntArray) {
        val bytes = bytes
        val places = columns.samples
        val columnShift = columnShift
        val red = row + red
        val green = row + green
        val blue = row + blue
        for (column in places.indices) {
            val place = places[column]
            val at = (column shr columnShift) * RgbImage.CHANNELS
            sums[at] += bytes[red + place].toInt() and 0xff
            sums[at + 1] += bytes[green + place].toInt() and 0xff
            sums[at + 2] += bytes[blue + place].toInt() and 0xff
        }
    }
}
