package dev.mobiledet.app

import android.app.Activity
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.widget.TextView
import dev.mobiledet.android.Detection
import dev.mobiledet.android.Detector
import dev.mobiledet.android.Pictures
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.RgbImage
import java.io.IOException

/** Shows boxes on an image that the user picks. */
public class PictureActivity : Activity() {
    private val worker = Worker(this) { status.text = it }
    private lateinit var status: TextView
    private lateinit var view: PictureView

    @Volatile
    private var detector: Detector? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val screen = Screen(this)
        status = screen.text("Reading the bundle…")
        screen.button("Pick a picture") { pick() }
        view = screen.rest(PictureView(this))
        screen.show()
        worker.run({ Choice.of(intent).open(this).also { detector = it } }) {
            status.text = "Runs on ${it.execution.actual}"
            if (savedInstanceState == null) pick()
        }
    }

    override fun onDestroy() {
        worker.close { detector?.close() }
        super.onDestroy()
    }

    @Deprecated("the platform's own API, without androidx")
    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val picture = data?.data
        if (resultCode == RESULT_OK && picture != null) worker.run({ detect(picture) }) { (image, found) -> show(image, found) }
    }

    @Suppress("DEPRECATION")
    private fun pick() = startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), 0)

    private fun detect(picture: Uri): Pair<RgbImage, List<Detection>> {
        val content = try {
            contentResolver.openInputStream(picture)?.use { it.readBytes() }
        } catch (error: IOException) {
            throw MobileDetException("the image cannot be read: ${error.message}", error)
        } ?: throw MobileDetException("the image cannot be read")
        val ready = detector ?: throw MobileDetException("the bundle is not ready yet")
        val image = Pictures.decode(content, ready.appliesOrientation)
        return image to ready.detect(image, Orientation.UPRIGHT)
    }

    internal fun show(image: RgbImage, found: List<Detection>) {
        view.show(Pictures.bitmap(image), found)
        val counts = found.groupingBy { it.label }.eachCount().entries.sortedByDescending { it.value }
        status.text = counts.joinToString { "${it.value} ${it.key}" }.ifEmpty { "Nothing detected." }
    }
}
