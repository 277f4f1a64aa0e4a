package dev.mobiledet.app

import android.Manifest
import android.app.Activity
import android.content.pm.PackageManager
import android.os.Bundle
import android.view.Surface
import android.view.WindowManager
import android.widget.TextView
import dev.mobiledet.android.CameraStream
import dev.mobiledet.android.Detection
import dev.mobiledet.android.Detector
import dev.mobiledet.android.Pictures
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.RgbImage
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit

private const val NS_PER_MS = 1e6

/** Boxes on the camera's pictures; what is shown is the very picture in which they were found. */
public class CameraActivity : Activity() {
    private val worker = Worker(this) { status.text = it }
    private lateinit var status: TextView
    private lateinit var view: PictureView
    private var stream: CameraStream? = null

    @Volatile
    private var detector: Detector? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        val screen = Screen(this)
        status = screen.text()
        view = screen.rest(PictureView(this))
        screen.show()
        val choice = Choice.of(intent)
        worker.run({ choice.open(this).also { detector = it } }) { status.text = "$choice: runs on ${it.execution.actual}" }
    }

    override fun onResume() {
        super.onResume()
        if (checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED) {
            startCamera()
        } else {
            requestPermissions(arrayOf(Manifest.permission.CAMERA), 0)
        }
    }

    override fun onPause() {
        stream?.close()
        stream = null
        super.onPause()
    }

    override fun onDestroy() {
        worker.close { detector?.close() }
        super.onDestroy()
    }

    override fun onRequestPermissionsResult(requestCode: Int, permissions: Array<out String>, results: IntArray) {
        // when it is granted the activity resumes anew
        if (results.firstOrNull() != PackageManager.PERMISSION_GRANTED) status.text = "The camera needs your permission."
    }

    private fun startCamera() {
        val opened = CameraStream(this, displayDegrees(), ::detect) { problem -> runOnUiThread { status.text = problem } }
        try {
            opened.start()
            stream = opened
        } catch (error: MobileDetException) {
            opened.close()
            status.text = error.message
        }
    }

    /** In the camera's thread; its next picture waits until this one is done. */
    private fun detect(picture: RgbImage, orientation: Orientation) {
        val ready = detector ?: return
        val upright = orientation.turn(picture)
        val started = System.nanoTime()
        val done = CountDownLatch(1)
        worker.run({
            try {
                ready.detect(upright, Orientation.UPRIGHT)
            } finally {
                done.countDown()
            }
        }) { found -> show(upright, found, (System.nanoTime() - started) / NS_PER_MS) }
        done.await(2, TimeUnit.SECONDS)
    }

    private fun show(picture: RgbImage, found: List<Detection>, milliseconds: Double) {
        view.show(Pictures.bitmap(picture), found)
        status.text = "%.1f ms, %d objects".format(milliseconds, found.size)
    }

    @Suppress("DEPRECATION") // Context.getDisplay is not there before Android 11
    private fun displayDegrees() = when (windowManager.defaultDisplay.rotation) {
        Surface.ROTATION_90 -> 90
        Surface.ROTATION_180 -> 180
        Surface.ROTATION_270 -> 270
        else -> 0
    }
}
