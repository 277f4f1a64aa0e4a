package dev.mobiledet.core

/**
 * The position of an image in a model's input, by the rules of `mobiledet/placement.py`.
 *
 * @property top [top], [left], [height] and [width] are the part of the input that shows the image, in pixels of the input:
 *     all of it, or in a letterbox the largest part with the image's aspect ratio, sides rounded to whole pixels, halves up.
 * @property imageHeight [imageHeight] and [imageWidth] are the size of the image, in its pixels.
 */
public class Placement private constructor(
    public val imageHeight: Int,
    public val imageWidth: Int,
    private val input: InputSpec,
    public val top: Int,
    public val left: Int,
    public val height: Int,
    public val width: Int,
) {
    /** Converts boxes from fractions of the input to pixels of the image; they may extend beyond the image. */
    public fun toImage(found: Detections): Detections {
        val x = Axis(imageWidth, input.width, left, width)
        val y = Axis(imageHeight, input.height, top, height)
        return found.withBoxes { value, index -> (if (index % 2 == 0) x else y).toImage(value) }
    }

    /** Clips the result of [toImage] to the image of a letterbox; detections entirely in the padding are dropped. */
    public fun visible(found: Detections): Detections {
        if (!input.isLetterbox) return found
        val clipped = found.withBoxes { value, index ->
            value.coerceIn(0f, (if (index % 2 == 0) imageWidth else imageHeight).toFloat())
        }
        return clipped.rows((0 until clipped.size).filter { row -> clipped.box(row).let { it.x2 > it.x1 && it.y2 > it.y1 } })
    }

    /** The conversion along one axis, in 64 bits as in every language. */
    private class Axis(image: Int, input: Int, corner: Int, part: Int) {
        private val scale = image.toDouble() * input / part
        private val offset = image.toDouble() * corner / part

        fun toImage(value: Float): Float = (value * scale - offset).toFloat()
    }

    public companion object {
        /** The placement of an image of [height] x [width] pixels. */
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

        /** side * target / other, rounded, halves up, at least 1. */
        private fun part(side: Int, target: Int, other: Int): Int =
            maxOf(1, ((2L * side * target + other) / (2L * other)).toInt())
    }
}
