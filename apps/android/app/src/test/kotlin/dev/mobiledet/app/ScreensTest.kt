package dev.mobiledet.app

import android.Manifest
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.RectF
import android.os.Looper
import android.provider.Settings
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.TextView
import dev.mobiledet.android.BundleAssets
import dev.mobiledet.android.Detection
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class ScreensTest {
    private fun views(root: View): List<View> =
        listOf(root) + ((root as? ViewGroup)?.let { group -> (0 until group.childCount).flatMap { views(group.getChildAt(it)) } }.orEmpty())

    private fun texts(root: View) = views(root).filterIsInstance<TextView>().map { it.text.toString() }

    private fun until(what: () -> Boolean) {
        val end = System.nanoTime() + 10_000_000_000
        while (!what()) {
            check(System.nanoTime() < end) { "it never comes" }
            Thread.sleep(10)
            shadowOf(Looper.getMainLooper()).idle()
        }
    }

    @Test
    fun anAppWithoutABundleSaysHowToGetOneAndCanBeEvaluated() {
        assumeTrue(BundleAssets(RuntimeEnvironment.getApplication()).list().isEmpty())
        val controller = Robolectric.buildActivity(MainActivity::class.java).setup()
        val root = controller.get().window.decorView
        assertTrue(texts(root).toString(), texts(root).any { "mobiledet export CHECKPOINT --app android" in it })
        assertEquals(listOf("Evaluation from a computer"), views(root).filterIsInstance<Button>().map { it.text })
        views(root).filterIsInstance<Button>().single().performClick()
        val started = shadowOf(controller.get()).nextStartedActivity
        assertEquals(EvalActivity::class.java.name, started.component!!.className)
        assertTrue(started.getStringExtra("token")!!.length >= 32)
        controller.pause().stop().destroy()
    }

    @Test
    fun whatCannotRunIsToldInOneLine() {
        for (screen in listOf(PictureActivity::class.java, BenchmarkActivity::class.java, CameraActivity::class.java)) {
            val choice = Choice("absent.mobiledet", "model.float32.tflite", "auto")
            val intent = choice.addTo(Intent(RuntimeEnvironment.getApplication(), screen))
            val controller = Robolectric.buildActivity(screen, intent).setup()
            until { texts(controller.get().window.decorView).any { "no bundle 'absent.mobiledet'" in it } }
            controller.pause().stop().destroy()
        }
    }

    @Test
    fun whoDeniesTheCameraIsNotAskedAgain() {
        val controller = Robolectric.buildActivity(CameraActivity::class.java).setup()
        val asked = shadowOf(controller.get()).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), asked.requestedPermissions.toList())
        until { texts(controller.get().window.decorView).any { "no bundle" in it } } // the worker's last word
        repeat(3) { controller.pause().resume() }
        assertTrue("asked again", shadowOf(controller.get()).lastRequestedPermission === asked)
        val told = views(controller.get().window.decorView).filterIsInstance<TextView>().single { "permission" in it.text }
        told.performClick()
        val opened = shadowOf(controller.get()).nextStartedActivity
        assertEquals(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, opened.action)
        assertEquals(controller.get().packageName, opened.data!!.schemeSpecificPart)
        controller.pause().stop().destroy()
    }

    @Test
    fun boxesLieOnWhatTheyMean() {
        val view = PictureView(RuntimeEnvironment.getApplication())
        view.layout(0, 0, 400, 300)
        val picture = Bitmap.createBitmap(40, 40, Bitmap.Config.ARGB_8888).apply { eraseColor(Color.GRAY) }
        view.show(picture, listOf(Detection("ring", 3, 0.876f, RectF(10f, 20f, 30f, 35f))))
        val shown = Bitmap.createBitmap(400, 300, Bitmap.Config.ARGB_8888)
        view.draw(Canvas(shown))
        System.getProperty("mobiledet.screenshots")?.let { folder ->
            File(folder, "picture-view.png").outputStream().use { shown.compress(Bitmap.CompressFormat.PNG, 100, it) }
        }
        // the picture is 7.5 times as large and in the middle: x from 50
        val line = shown.getPixel(50 + 75, 200)
        assertTrue("a coloured line at the left side", line != Color.GRAY && line != 0)
        assertEquals(Color.GRAY, shown.getPixel(50 + 75 + 20, 200))
        assertEquals(0, shown.getPixel(20, 150))
        assertEquals("ring", view.contentDescription)
    }
}
