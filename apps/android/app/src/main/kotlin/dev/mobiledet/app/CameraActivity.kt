package dev.mobiledet.app

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.graphics.Bitmap
import android.net.Uri
import android.os.Bundle
import android.provider.Settings
import android.view.Surface
import android.view.WindowManager
import android.widget.TextView
import dev.mobiledet.android.CameraStream
import dev.mobiledet.android.Detection
import dev.mobiledet.android.Detector
import dev.mobiledet.android.Pictures
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.YuvImage
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit

private const val NS_PER_MS = 1e6
private const val ASKED = "asked"
private const val DENIED = "The camera needs your permission. Tap here to open the settings."

/** Shows boxes on the camera's images; each box is shown on the image in which it was detected. */
public class CameraActivity : Activity() {
    private val worker = Worker(this) { status.text = it }
    private lateinit var status: TextView
    private lateinit var view: PictureView
    private var stream: CameraStream? = null
    private var hasAsked = false // for the permission

    @Volatile
    private var detector: Detector? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        hasAsked = savedInstanceState?.getBoolean(ASKED) ?: false
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
            status.setOnClickListener(null)
            startCamera()
        } else if (!hasAsked) {
            hasAsked = true
            requestPermissions(arrayOf(Manifest.permission.CAMERA), 0)
        } else {
            // the permission dialog itself pauses and resumes the activity: do not ask again after a refusal
            status.text = DENIED
            status.setOnClickListener { startActivity(settings()) }
        }
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putBoolean(ASKED, hasAsked)
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

    /** Opens this app's page in the system's settings. */
    private fun settings() =
        Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", packageName, null))

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

    /** Called in the camera's thread; its next image waits until this one is done. */
    private fun detect(image: YuvImage, orientation: Orientation) {
        val ready = detector ?: return
        val upright = orientation.turn(image.toRgb()) // which the screen shows
        val started = System.nanoTime()
        val done = CountDownLatch(1)
        worker.run({
            try {
                val found = ready.detect(upright, Orientation.UPRIGHT)
                val milliseconds = (System.nanoTime() - started) / NS_PER_MS
                Shown(Pictures.bitmap(upright), found, milliseconds) // touches every pixel: not on the main thread
            } finally {
                done.countDown()
            }
        }) { show(it) }
        done.await(2, TimeUnit.SECONDS)
    }

    private fun show(shown: Shown) {
        view.show(shown.picture, shown.found)
        status.text = "%.1f ms, %d objects".format(shown.milliseconds, shown.found.size)
    }

    private class Shown(val picture: Bitmap, val found: List<Detection>, val milliseconds: Double)

    @Suppress("DEPRECATION") // Context.getDisplay does not exist before Android 11
    private fun displayDegrees() = when (windowManager.defaultDisplay.rotation) {
        Surface.ROTATION_90 -> 90
        Surface.ROTATION_180 -> 180
        Surface.ROTATION_270 -> 270
        else -> 0
    }
}
