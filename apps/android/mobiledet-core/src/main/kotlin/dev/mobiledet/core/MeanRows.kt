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
     * One loop without branches, over local variables: an inner loop over the few pixels of a block takes twice as long.
     */
    protected abstract fun add(row: Int, chromaRow: Int, sums: IntArray)
}

internal class YuvRows(rows: Axis, columns: Axis) : MeanRows(rows, columns) {
    private var y = ByteArray(0)
    private var u = ByteArray(0)
    private var v = ByteArray(0)
    private var matrix = YuvMatrix.BT601_FULL

    override fun load(frame: Frame) {
        frame as YuvImage
        y = frame.y.copy(y)
        u = frame.u.copy(u)
        v = frame.v.copy(v)
        matrix = frame.matrix
    }

    override fun add(row: Int, chromaRow: Int, sums: IntArray) {
        val y = y
        val u = u
        val v = v
        val lumaColumns = columns.samples
        val chromaColumns = columns.chroma
        val columnShift = columnShift
        val matrix = matrix
        var latest = -1
        var red = 0
        var green = 0
        var blue = 0
        for (column in lumaColumns.indices) {
            val chroma = chromaRow + chromaColumns[column]
            if (chroma != latest) { // neighbours share it
                latest = chroma
                red = matrix.red(v[chroma])
                green = matrix.green(u[chroma], v[chroma])
                blue = matrix.blue(u[chroma])
            }
            val level = matrix.level(y[row + lumaColumns[column]])
            val at = (column shr columnShift) * RgbImage.CHANNELS
            sums[at] += matrix.colour(level + red)
            sums[at + 1] += matrix.colour(level + green)
            sums[at + 2] += matrix.colour(level + blue)
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
