package dev.mobiledet.app

import android.Manifest
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Rect
import android.graphics.RectF
import android.os.Looper
import android.provider.Settings
import android.view.SurfaceView
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.CheckBox
import android.widget.ScrollView
import android.widget.TextView
import dev.mobiledet.android.BundleAssets
import dev.mobiledet.android.Detection
import dev.mobiledet.android.DetectorView
import dev.mobiledet.android.Lens
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.RgbImage
import java.io.File
import java.util.concurrent.CountDownLatch
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
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowSurfaceView

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
        val view = views(controller.get().window.decorView).filterIsInstance<DetectorView>().single()
        until { texts(view).any { "no bundle" in it } } // the worker's last word
        val end = CountDownLatch(1)
        view.open {
            end.await()
            throw MobileDetException("the end")
        }
        val surface = views(view).filterIsInstance<SurfaceView>().single()
        Shadow.extract<ShadowSurfaceView>(surface).fakeSurfaceHolder.emitSurfaceChanged(0, 640, 480)
        val asked = shadowOf(controller.get()).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), asked.requestedPermissions.toList())
        repeat(3) { controller.pause().resume().windowFocusChanged(true) }
        assertTrue("asked again", shadowOf(controller.get()).lastRequestedPermission === asked)
        val told = views(view).filterIsInstance<TextView>().single { "permission" in it.text }
        told.performClick()
        val opened = shadowOf(controller.get()).nextStartedActivity
        assertEquals(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, opened.action)
        assertEquals(controller.get().packageName, opened.data!!.schemeSpecificPart)
        end.countDown()
        controller.pause().stop().destroy()
    }

    @Test
    fun theCameraScreenKeepsItsSettingsWhenItTurns() {
        val controller = Robolectric.buildActivity(CameraActivity::class.java).setup()
        fun boxes() = views(controller.get().window.decorView).filterIsInstance<CheckBox>()
        fun view() = views(controller.get().window.decorView).filterIsInstance<DetectorView>().single()
        assertEquals(listOf("Front", "Lamp", "Ids"), boxes().map { it.text })
        boxes().forEach { it.performClick() }
        controller.recreate()
        assertTrue(boxes().all { it.isChecked })
        assertEquals(listOf(Lens.FRONT, true, true), listOf(view().lens, view().torch, view().tracks))
        controller.pause().stop().destroy()
    }

    /** On screens of a small phone and of a large one, upright and lying. */
    @Test
    fun screensFit() {
        for (size in listOf("w320dp-h480dp-mdpi", "w480dp-h320dp-land-mdpi", "w411dp-h891dp-xxhdpi")) {
            RuntimeEnvironment.setQualifiers(size)
            for (screen in listOf(MainActivity::class.java, CameraActivity::class.java, PictureActivity::class.java, BenchmarkActivity::class.java)) {
                val intent = Choice("a-bundle-with-a-long-name.mobiledet", "model.float32.tflite", "auto")
                    .addTo(Intent(RuntimeEnvironment.getApplication(), screen))
                val controller = Robolectric.buildActivity(screen, intent).setup()
                shadowOf(Looper.getMainLooper()).idle()
                val root = controller.get().findViewById<ViewGroup>(android.R.id.content)
                picture(root, "${screen.simpleName}-$size")
                val padding = (16 * root.resources.displayMetrics.density).toInt()
                val reachable = views(root).filterIsInstance<ScrollView>().isNotEmpty()
                for (view in views(root).filter { (it is TextView || it is PictureView || it is DetectorView) && it.isShown }) {
                    val place = Rect(0, 0, view.width, view.height)
                    root.offsetDescendantRectToMyCoords(view, place)
                    assertTrue("$screen $size: $view has no padding", place.left >= padding && place.right <= root.width - padding)
                    assertTrue("$screen $size: $view is cut off", reachable || place.bottom <= root.height)
                    val lines = (view as? TextView)?.layout
                    if (lines != null && lines.lineCount <= view.maxLines) {
                        assertTrue("$screen $size: '${view.text}' is cut off", lines.height <= view.height)
                    }
                }
                val rest = views(root).firstOrNull { it is PictureView || it is DetectorView }
                if (rest != null) assertTrue("$screen $size: ${rest.height} of ${root.height} pixels", rest.height >= root.height / 3)
                controller.pause().stop().destroy()
            }
        }
    }

    /** Of 25 objects the text takes some lines, and the picture keeps its place. */
    @Test
    fun manyObjectsLeaveRoomForThePicture() {
        val controller = Robolectric.buildActivity(PictureActivity::class.java).setup()
        val root = controller.get().findViewById<ViewGroup>(android.R.id.content)
        val view = views(root).filterIsInstance<PictureView>().single()
        val before = view.height
        val found = List(25) { Detection("label number $it", it, 0.9f, RectF(it * 20f, 40f, it * 20f + 90f, 300f)) }
        controller.get().show(RgbImage(480, 640, ByteArray(480 * 640 * 3) { 90 }), found)
        root.measure(exactly(root.width), exactly(root.height))
        root.layout(0, 0, root.width, root.height)
        picture(root, "many-objects")
        assertTrue("${view.height} of $before pixels", view.height > before * 3 / 4)
        controller.pause().stop().destroy()
    }

    private fun exactly(size: Int) = View.MeasureSpec.makeMeasureSpec(size, View.MeasureSpec.EXACTLY)

    private fun picture(view: View, name: String) {
        val folder = System.getProperty("mobiledet.screenshots") ?: return
        val shown = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
        view.draw(Canvas(shown).apply { drawColor(Color.DKGRAY) })
        File(folder, "$name.png").outputStream().use { shown.compress(Bitmap.CompressFormat.PNG, 100, it) }
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
