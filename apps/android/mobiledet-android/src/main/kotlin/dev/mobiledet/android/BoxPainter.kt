package dev.mobiledet.android

import android.content.res.Resources
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import android.util.TypedValue

private const val HUE_STEP = 137.5f // neighbouring labels get very different colours
private const val TEXT_SP = 14f
private const val LINE_DP = 2.5f

/** Draws detections as boxes with captions; the main thread only. */
public class BoxPainter(resources: Resources) {
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = LINE_DP * resources.displayMetrics.density
    }
    private val back = Paint()
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.BLACK
        textSize = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, TEXT_SP, resources.displayMetrics)
    }

    /**
     * Draws detections, best score first. A caption that would cover one of a better detection is left out; its box is not.
     *
     * @param place converts a box to pixels of the canvas.
     */
    public fun draw(canvas: Canvas, found: List<Detection>, place: (RectF) -> RectF) {
        val boxes = found.map { place(it.box) }
        for (index in found.indices.reversed()) canvas.drawRect(boxes[index], line.apply { color = colour(found[index]) })
        val captions = mutableListOf<RectF>()
        for ((index, detection) in found.withIndex()) {
            val words = detection.caption
            val area = captionArea(boxes[index], text.measureText(words), canvas.width.toFloat())
            if (captions.any { RectF.intersects(it, area) }) continue
            captions += area
            canvas.drawRect(area, back.apply { color = colour(detection) })
            canvas.drawText(words, area.left, area.bottom - text.descent() / 2, text)
        }
    }

    /** Above a box, or in it at the canvas's upper edge; within the canvas at its sides. */
    private fun captionArea(box: RectF, width: Float, canvasWidth: Float): RectF {
        val bottom = maxOf(box.top, text.textSize)
        val left = minOf(box.left, canvasWidth - width).coerceAtLeast(0f)
        return RectF(left, bottom - text.textSize, left + width, bottom)
    }

    /** By track if there is one, so that neighbours of the same class differ; else by class. */
    private fun colour(detection: Detection): Int =
        Color.HSVToColor(floatArrayOf((detection.trackId ?: detection.categoryId) * HUE_STEP % 360, 0.7f, 1f))
}
