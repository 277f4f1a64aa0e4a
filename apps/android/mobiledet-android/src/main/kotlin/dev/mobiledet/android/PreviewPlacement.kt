package dev.mobiledet.android

import android.graphics.RectF

/**
 * The position of an upright camera image in a view, which may extend beyond the view.
 *
 * @property isMirrored whether the view shows it as a mirror does.
 */
internal class PreviewPlacement private constructor(
    val left: Float,
    val top: Float,
    val width: Float,
    val height: Float,
    private val isMirrored: Boolean,
) {
    /** Converts a box from pixels of an upright image of this size to pixels of the view. */
    fun toView(box: RectF, imageHeight: Int, imageWidth: Int): RectF {
        val across = width / imageWidth
        val down = height / imageHeight
        val x1 = if (isMirrored) imageWidth - box.right else box.left
        val x2 = if (isMirrored) imageWidth - box.left else box.right
        return RectF(left + x1 * across, top + box.top * down, left + x2 * across, top + box.bottom * down)
    }

    companion object {
        /** In the middle of a view; [fills] it and extends beyond it at two sides, or is wholly visible. */
        fun of(
            imageHeight: Int, imageWidth: Int, viewHeight: Int, viewWidth: Int, fills: Boolean, isMirrored: Boolean,
        ): PreviewPlacement {
            val across = viewWidth.toFloat() / imageWidth
            val down = viewHeight.toFloat() / imageHeight
            val scale = if (fills) maxOf(across, down) else minOf(across, down)
            val width = imageWidth * scale
            val height = imageHeight * scale
            return PreviewPlacement((viewWidth - width) / 2, (viewHeight - height) / 2, width, height, isMirrored)
        }
    }
}
