package dev.mobiledet.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.graphics.Paint
import android.graphics.RectF
import android.util.TypedValue
import android.view.View
import dev.mobiledet.android.Detection

private const val HUE_STEP = 137.5f // neighbouring labels get very different colours
private const val TEXT_SP = 14f
private const val LINE_DP = 2.5f

/** Shows an image as large as the view allows, with the boxes detected in it. */
internal class PictureView(context: Context) : View(context) {
    private val density = resources.displayMetrics.density
    private val picturePaint = Paint(Paint.FILTER_BITMAP_FLAG)
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = LINE_DP * density
    }
    private val back = Paint()
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.BLACK
        textSize = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, TEXT_SP, resources.displayMetrics)
    }
    private val toView = Matrix()
    private val box = RectF()
    private var picture: Bitmap? = null
    private var found: List<Detection> = emptyList()

    /** Shows an image; boxes are in its pixels. */
    fun show(picture: Bitmap, found: List<Detection>) {
        this.picture = picture
        this.found = found
        contentDescription = if (found.isEmpty()) "nothing detected" else found.joinToString { it.label }
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val bitmap = picture ?: return
        toView.setRectToRect(
            RectF(0f, 0f, bitmap.width.toFloat(), bitmap.height.toFloat()),
            RectF(0f, 0f, width.toFloat(), height.toFloat()),
            Matrix.ScaleToFit.CENTER,
        )
        canvas.drawBitmap(bitmap, toView, picturePaint)
        found.asReversed().forEach { draw(canvas, it) }
    }

    private fun draw(canvas: Canvas, detection: Detection) {
        toView.mapRect(box, detection.box)
        val hue = detection.categoryId * HUE_STEP % 360
        line.color = Color.HSVToColor(floatArrayOf(hue, 0.7f, 1f))
        back.color = line.color
        canvas.drawRect(box, line)
        val caption = "${detection.label} ${Math.round(detection.score * 100)} %"
        val top = maxOf(box.top, text.textSize)
        canvas.drawRect(box.left, top - text.textSize, box.left + text.measureText(caption), top, back)
        canvas.drawText(caption, box.left, top - text.descent() / 2, text)
    }
}
