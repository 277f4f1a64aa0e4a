package dev.mobiledet.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Matrix
import android.graphics.Paint
import android.graphics.RectF
import android.view.View
import dev.mobiledet.android.BoxPainter
import dev.mobiledet.android.Detection

/** Shows an image as large as the view allows, with the boxes detected in it. */
internal class PictureView(context: Context) : View(context) {
    private val picturePaint = Paint(Paint.FILTER_BITMAP_FLAG)
    private val painter = BoxPainter(resources)
    private val toView = Matrix()
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
        painter.draw(canvas, found) { box -> RectF().also { toView.mapRect(it, box) } }
    }
}
