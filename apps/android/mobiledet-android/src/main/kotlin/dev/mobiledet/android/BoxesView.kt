package dev.mobiledet.android

import android.content.Context
import android.graphics.Canvas
import android.view.View

/** A transparent view with the boxes of the newest frame over the preview. */
internal class BoxesView(context: Context) : View(context) {
    private val painter = BoxPainter(resources)
    private var frame: DetectedFrame? = null

    /** Whether the preview extends beyond the view, as in [DetectorView.fills]. */
    var fills = false
    var isMirrored = false

    init {
        importantForAccessibility = IMPORTANT_FOR_ACCESSIBILITY_YES
    }

    fun show(frame: DetectedFrame?) {
        this.frame = frame
        contentDescription = frame?.let { shown -> shown.objects.joinToString { it.label }.ifEmpty { "nothing detected" } }
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val shown = frame ?: return
        val placement = PreviewPlacement.of(shown.height, shown.width, height, width, fills, isMirrored)
        painter.draw(canvas, shown.objects) { placement.toView(it, shown.height, shown.width) }
    }
}
