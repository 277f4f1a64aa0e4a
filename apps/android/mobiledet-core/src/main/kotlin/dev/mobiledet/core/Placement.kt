package dev.mobiledet.core

/**
 * Where a picture lies in a model's input, and its boxes with it; the rule of `mobiledet/placement.py`.
 *
 * @property top the part of the input that shows the picture, in pixels of the input: all of it, or in a letterbox the
 *     largest of the picture's shape, sides rounded to whole pixels, halves up.
 */
public class Placement private constructor(
    private val pictureHeight: Int,
    private val pictureWidth: Int,
    private val input: InputSpec,
    public val top: Int,
    public val left: Int,
    public val height: Int,
    public val width: Int,
) {
    /** Boxes as fractions of the input to boxes in pixels of the picture, which may reach out of it. */
    public fun toPicture(found: Detections): Detections {
        val x = Axis(pictureWidth, input.width, left, width)
        val y = Axis(pictureHeight, input.height, top, height)
        return found.withBoxes { value, index -> (if (index % 2 == 0) x else y).toPicture(value) }
    }

    /** What [toPicture] gave, cut to the picture of a letterbox; what lies in the padding alone is left out. */
    public fun visible(found: Detections): Detections {
        if (!input.isLetterbox) return found
        val cut = found.withBoxes { value, index ->
            value.coerceIn(0f, (if (index % 2 == 0) pictureWidth else pictureHeight).toFloat())
        }
        return cut.rows((0 until cut.size).filter { row -> cut.box(row).let { it.x2 > it.x1 && it.y2 > it.y1 } })
    }

    /** Along one side; 64 bits, as everywhere. */
    private class Axis(picture: Int, input: Int, corner: Int, part: Int) {
        private val scale = picture.toDouble() * input / part
        private val offset = picture.toDouble() * corner / part

        fun toPicture(value: Float): Float = (value * scale - offset).toFloat()
    }

    public companion object {
        /** That of a picture of [height] x [width] pixels. */
        @JvmStatic
        public fun of(height: Int, width: Int, input: InputSpec): Placement {
            if (!input.isLetterbox) return Placement(height, width, input, 0, 0, input.height, input.width)
            val isWide = width.toLong() * input.height >= height.toLong() * input.width
            val partHeight = if (isWide) part(height, input.width, width) else input.height
            val partWidth = if (isWide) input.width else part(width, input.height, height)
            val isCentred = input.placement == "centre"
            val top = if (isCentred) (input.height - partHeight) / 2 else 0
            val left = if (isCentred) (input.width - partWidth) / 2 else 0
            return Placement(height, width, input, top, left, partHeight, partWidth)
        }

        /** side * target / other, rounded, halves up; at least 1. */
        private fun part(side: Int, target: Int, other: Int): Int =
            maxOf(1, ((2L * side * target + other) / (2L * other)).toInt())
    }
}
