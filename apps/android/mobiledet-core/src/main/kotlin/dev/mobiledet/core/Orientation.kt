package dev.mobiledet.core

/** A bounding box in pixels; (0, 0) is the top left corner of the top left pixel. */
public data class Box(val x1: Float, val y1: Float, val x2: Float, val y2: Float)

/**
 * How a stored image must be turned to be upright: the EXIF orientations 1 to 8.
 *
 * @property exif the tag's value.
 * @property swapsSides whether height and width are swapped.
 */
public enum class Orientation(
    public val exif: Int,
    public val swapsSides: Boolean,
    internal val fromRight: Boolean,
    internal val fromBelow: Boolean,
) {
    // fromRight, fromBelow: whether the upright x (then y) is measured from the far side of the stored image
    UPRIGHT(1, false, false, false),
    MIRRORED(2, false, true, false),
    HALF_TURN(3, false, true, true),
    FLIPPED(4, false, false, true),
    TRANSPOSED(5, true, false, false),
    QUARTER_TURN(6, true, true, false),
    TRANSVERSED(7, true, true, true),
    THREE_QUARTERS(8, true, false, true),
    ;

    /** Converts a point of a stored image of [width] x [height] to the upright image. */
    public fun toUpright(x: Float, y: Float, width: Float, height: Float): Pair<Float, Float> {
        val (across, acrossSide) = if (swapsSides) y to height else x to width
        val (down, downSide) = if (swapsSides) x to width else y to height
        return (if (fromRight) acrossSide - across else across) to (if (fromBelow) downSide - down else down)
    }

    /** The inverse of [toUpright]; [width] and [height] are those of the stored image. */
    public fun toStored(x: Float, y: Float, width: Float, height: Float): Pair<Float, Float> {
        val across = if (fromRight) (if (swapsSides) height else width) - x else x
        val down = if (fromBelow) (if (swapsSides) width else height) - y else y
        return if (swapsSides) down to across else across to down
    }

    /** Converts a box of the stored image to the upright image. */
    public fun toUpright(box: Box, width: Float, height: Float): Box =
        between(toUpright(box.x1, box.y1, width, height), toUpright(box.x2, box.y2, width, height))

    /** Converts a box of the upright image to the stored image. */
    public fun toStored(box: Box, width: Float, height: Float): Box =
        between(toStored(box.x1, box.y1, width, height), toStored(box.x2, box.y2, width, height))

    /** Turns a stored image upright. */
    public fun turn(image: RgbImage): RgbImage {
        if (this == UPRIGHT) return image
        val (height, width) = if (swapsSides) image.width to image.height else image.height to image.width
        val out = ByteArray(image.pixels.size)
        var at = 0
        for (y in 0 until height) {
            for (x in 0 until width) {
                val across = if (fromRight) width - 1 - x else x
                val down = if (fromBelow) height - 1 - y else y
                val source = (if (swapsSides) across * image.width + down else down * image.width + across) * RgbImage.CHANNELS
                for (channel in 0 until RgbImage.CHANNELS) out[at++] = image.pixels[source + channel]
            }
        }
        return RgbImage(height, width, out)
    }

    public companion object {
        /** The orientation with this EXIF value; [UPRIGHT] for an unknown value. */
        @JvmStatic
        public fun ofExif(value: Int): Orientation = entries.firstOrNull { it.exif == value } ?: UPRIGHT

        /** The orientation that turns an image clockwise by a multiple of 90 degrees. */
        @JvmStatic
        public fun ofRotation(degrees: Int): Orientation =
            listOf(UPRIGHT, QUARTER_TURN, HALF_TURN, THREE_QUARTERS)[Math.floorMod(degrees, 360) / 90]

        private fun between(a: Pair<Float, Float>, b: Pair<Float, Float>) =
            Box(minOf(a.first, b.first), minOf(a.second, b.second), maxOf(a.first, b.first), maxOf(a.second, b.second))
    }
}
