package dev.mobiledet.app

import android.app.Activity
import android.os.Bundle
import android.view.WindowManager
import android.widget.TextView
import dev.mobiledet.android.DetectedFrame
import dev.mobiledet.android.DetectorView
import dev.mobiledet.android.Lens

private const val ZOOM_STEPS = 100
private const val FRONT = "front"
private const val LAMP = "lamp"
private const val IDS = "ids"
private const val ZOOM = "zoom"

/** Shows the camera's preview with boxes of the detected objects. */
public class CameraActivity : Activity() {
    private lateinit var status: TextView
    private lateinit var view: DetectorView
    private var zoomStep = 0

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        val choice = Choice.of(intent)
        val screen = Screen(this)
        status = screen.text("Reading the bundle…")
        view = screen.rest(DetectorView(this))
        val (front, lamp, ids) = screen.switches(
            "Front" to { isOn -> view.lens = if (isOn) Lens.FRONT else Lens.BACK },
            "Lamp" to { isOn -> view.torch = isOn },
            "Ids" to { isOn -> view.tracks = isOn },
        )
        val zoom = screen.slider("Zoom", ZOOM_STEPS) { step ->
            zoomStep = step
            applyZoom()
        }
        screen.show()
        view.onCamera = { camera ->
            lamp.isEnabled = camera.hasTorch
            applyZoom()
        }
        view.onReady = { status.text = "$choice: runs on ${it.execution.actual}" }
        view.onFrame = ::show
        view.onProblem = { status.text = "$choice" } // the view shows the problem itself
        val application = applicationContext
        view.open { choice.open(application) }
        savedInstanceState?.let { saved ->
            front.isChecked = saved.getBoolean(FRONT)
            lamp.isChecked = saved.getBoolean(LAMP)
            ids.isChecked = saved.getBoolean(IDS)
            zoom.progress = saved.getInt(ZOOM)
        }
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putBoolean(FRONT, view.lens == Lens.FRONT)
        outState.putBoolean(LAMP, view.torch)
        outState.putBoolean(IDS, view.tracks)
        outState.putInt(ZOOM, zoomStep)
    }

    /** From 1 to the camera's highest ratio. */
    private fun applyZoom() {
        val highest = view.phoneCamera?.zoomRange?.endInclusive ?: return
        view.zoom = 1f + (highest - 1f) * zoomStep / ZOOM_STEPS
    }

    private fun show(frame: DetectedFrame) {
        val told = "%.1f ms, %d objects".format(frame.milliseconds, frame.objects.size)
        status.text = listOf(told, view.pacer.notice).filter { it.isNotEmpty() }.joinToString("\n")
    }
}
