package dev.mobiledet.core

/** Reads frames of one layout as rows of block means, upright and in RGB. */
internal abstract class MeanRows(protected val rows: Axis, protected val columns: Axis) {
    protected val shift = Integer.numberOfTrailingZeros(rows.block * columns.block)
    protected val half = rows.block * columns.block shr 1

    abstract fun load(frame: Frame)

    /** Computes a row of used blocks, halves rounded up. */
    abstract fun read(row: Int, means: IntArray)
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

    override fun read(row: Int, means: IntArray) {
        var at = 0
        for (block in 0 until columns.blocks) {
            var red = half
            var green = half
            var blue = half
            for (above in row * rows.block until (row + 1) * rows.block) {
                for (column in block * columns.block until (block + 1) * columns.block) {
                    val luma = y[rows.samples[above] + columns.samples[column]]
                    val chroma = rows.chroma[above] + columns.chroma[column]
                    red += matrix.red(luma, v[chroma])
                    green += matrix.green(luma, u[chroma], v[chroma])
                    blue += matrix.blue(luma, u[chroma])
                }
            }
            means[at++] = red shr shift
            means[at++] = green shr shift
            means[at++] = blue shr shift
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

    override fun read(row: Int, means: IntArray) {
        var at = 0
        for (block in 0 until columns.blocks) {
            var reds = half
            var greens = half
            var blues = half
            for (above in row * rows.block until (row + 1) * rows.block) {
                for (column in block * columns.block until (block + 1) * columns.block) {
                    val pixel = rows.samples[above] + columns.samples[column]
                    reds += bytes[pixel + red].toInt() and 0xff
                    greens += bytes[pixel + green].toInt() and 0xff
                    blues += bytes[pixel + blue].toInt() and 0xff
                }
            }
            means[at++] = reds shr shift
            means[at++] = greens shr shift
            means[at++] = blues shr shift
        }
    }
}
