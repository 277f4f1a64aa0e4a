package dev.mobiledet.android

import android.Manifest
import android.app.Activity
import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.ImageFormat
import android.graphics.Rect
import android.graphics.RectF
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CaptureRequest
import android.os.Handler
import android.os.Bundle
import android.os.Looper
import android.os.PowerManager
import android.provider.Settings
import android.util.Size
import android.view.SurfaceView
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import dev.mobiledet.core.FrameDecision
import dev.mobiledet.core.FramePacer
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.PacerSettings
import dev.mobiledet.core.RgbImage
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.robolectric.shadows.ShadowSurfaceView
import org.robolectric.shadows.StreamConfigurationMapBuilder

private val PREVIEW = Size(1280, 960)

/** The camera and the surface are Robolectric's doubles, and so is the model. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], qualifiers = "w400dp-h800dp")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class DetectorViewTest {
    private val context: Context = RuntimeEnvironment.getApplication()

    /** An activity with the view alone, and a permission that is not granted. */
    class Screen : Activity() {
        lateinit var view: DetectorView

        override fun onCreate(savedInstanceState: Bundle?) {
            super.onCreate(savedInstanceState)
            view = DetectorView(this)
            setContentView(view)
        }
    }

    private fun addCamera(id: String, lens: Lens, torch: Boolean = false) {
        val features = ShadowCameraCharacteristics.newCameraCharacteristics()
        val shadow = Shadow.extract<ShadowCameraCharacteristics>(features)
        shadow.set(CameraCharacteristics.LENS_FACING, lens.facing)
        shadow.set(CameraCharacteristics.SENSOR_ORIENTATION, if (lens == Lens.FRONT) 270 else 90)
        shadow.set(CameraCharacteristics.FLASH_INFO_AVAILABLE, torch)
        shadow.set(CameraCharacteristics.SENSOR_INFO_ACTIVE_ARRAY_SIZE, Rect(0, 0, 4000, 3000))
        shadow.set(CameraCharacteristics.SCALER_AVAILABLE_MAX_DIGITAL_ZOOM, 8f)
        val sizes = StreamConfigurationMapBuilder.newBuilder()
        for (size in listOf(Size(640, 480), Size(1280, 720))) sizes.addOutputSize(ImageFormat.YUV_420_888, size)
        for (size in listOf(Size(1920, 1080), PREVIEW)) sizes.addOutputSize(ImageFormat.PRIVATE, size)
        shadow.set(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP, sizes.build())
        shadowOf(context.getSystemService(CameraManager::class.java)).addCamera(id, features)
    }

    private fun grant() = shadowOf(RuntimeEnvironment.getApplication()).grantPermissions(Manifest.permission.CAMERA)

    private fun start(): ActivityController<Screen> = Robolectric.buildActivity(Screen::class.java).setup()

    private fun views(root: View): List<View> =
        listOf(root) + ((root as? ViewGroup)?.let { group -> (0 until group.childCount).flatMap { views(group.getChildAt(it)) } }.orEmpty())

    private val DetectorView.surface get() = views(this).filterIsInstance<SurfaceView>().single()
    private val DetectorView.boxes get() = views(this).filterIsInstance<BoxesView>().single()
    private val DetectorView.message: TextView? get() = views(this).filterIsInstance<TextView>().single().takeIf { it.visibility == View.VISIBLE }

    /** As the system does when the view is shown. */
    private fun DetectorView.giveSurface(size: Size = PREVIEW) {
        Shadow.extract<ShadowSurfaceView>(surface).fakeSurfaceHolder.emitSurfaceChanged(0, size.width, size.height)
        settle()
    }

    private fun settle() {
        repeat(5) {
            Thread.sleep(20)
            shadowOf(Looper.getMainLooper()).idle()
        }
    }

    private fun until(what: () -> Boolean) {
        val end = System.nanoTime() + 10_000_000_000
        while (!what()) {
            check(System.nanoTime() < end) { "it never comes" }
            settle()
        }
    }

    /** As the camera delivers it. */
    private fun DetectorView.receive(height: Int = 480, width: Int = 640, orientation: Orientation = Orientation.QUARTER_TURN) {
        val running = worker!!
        running.handler.post { running.detect(RgbImage(height, width, ByteArray(height * width * 3)), orientation) }
    }

    private fun rendered(view: View, name: String): Bitmap {
        val shown = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
        view.draw(Canvas(shown))
        System.getProperty("mobiledet.screenshots")?.let { folder ->
            File(folder, "$name.png").outputStream().use { shown.compress(Bitmap.CompressFormat.PNG, 100, it) }
        }
        return shown
    }

    @Test
    fun itAsksForThePermissionOnceAndShowsWhatADenialMeans() {
        addCamera("0", Lens.BACK)
        val controller = start()
        val view = controller.get().view
        view.giveSurface()
        val asked = shadowOf(controller.get()).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), asked.requestedPermissions.toList())
        repeat(3) { view.onWindowFocusChanged(true) }
        assertTrue("asked again", shadowOf(controller.get()).lastRequestedPermission === asked)
        assertTrue("permission" in view.message!!.text)
        assertTrue(view.message!!.performClick())
        assertEquals(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, shadowOf(controller.get()).nextStartedActivity.action)
        settle()
        rendered(view, "detector-view-denied")
        // a system that would show its dialog again gets asked again
        shadowOf(context.packageManager).setShouldShowRequestPermissionRationale(Manifest.permission.CAMERA, true)
        view.message!!.performClick()
        assertFalse("not asked", shadowOf(controller.get()).lastRequestedPermission === asked)
        controller.recreate()
        val turned = controller.get().view
        turned.giveSurface()
        assertNull("asked again after a rotation", shadowOf(controller.get()).lastRequestedPermission)
        assertTrue("permission" in turned.message!!.text)
        grant()
        turned.onWindowFocusChanged(true)
        settle()
        assertNull(turned.message)
        assertFalse(turned.phoneCamera!!.isMirrored)
    }

    @Test
    fun thePreviewHasTheShapeOfTheImages() {
        addCamera("0", Lens.BACK)
        grant()
        val controller = start()
        val view = controller.get().view
        view.giveSurface(Size(400, 800))
        assertEquals(Size(640, 480) to PREVIEW, view.phoneCamera!!.imageSize to view.phoneCamera!!.previewSize)
        view.layout(0, 0, 400, 800)
        // a quarter turn: 3 wide and 4 high
        assertEquals(Rect(0, 133, 400, 666), Rect(view.surface.left, view.surface.top, view.surface.right, view.surface.bottom))
        view.fills = true
        view.layout(0, 0, 400, 800)
        view.measure(View.MeasureSpec.makeMeasureSpec(400, View.MeasureSpec.EXACTLY), View.MeasureSpec.makeMeasureSpec(800, View.MeasureSpec.EXACTLY))
        view.layout(0, 0, 400, 800)
        assertEquals(Rect(-100, 0, 500, 800), Rect(view.surface.left, view.surface.top, view.surface.right, view.surface.bottom))
    }

    @Test
    fun objectsAreReportedAndDrawnWhereTheyAre() {
        addCamera("0", Lens.BACK)
        grant()
        val view = start().get().view
        val frames = mutableListOf<DetectedFrame>()
        view.onFrame = { frames += it }
        val model = FixedModel(listOf(floatArrayOf(0.25f, 0.5f, 0.5f, 1f, 1f, 0.9f), floatArrayOf(0f, 0f, 0.1f, 0.1f, 0f, 0.05f)))
        view.open { detector(model) }
        view.giveSurface()
        view.receive()
        until { frames.isNotEmpty() }
        val frame = frames.single()
        assertEquals(640 to 480, frame.height to frame.width)
        val found = frame.objects.single() // the other one is below its threshold
        assertEquals(RectF(240f, 160f, 480f, 320f), found.box)
        assertNull(found.trackId)
        val boxes = view.boxes
        boxes.layout(0, 0, 240, 320)
        val shown = rendered(boxes, "detector-view-box")
        assertTrue("a line at the left side", shown.getPixel(120, 120) != 0)
        assertEquals(0, shown.getPixel(60, 120))
        assertEquals(0, shown.getPixel(180, 120))
    }

    @Test
    fun aFrontCameraIsMirroredAndItsImagesAreNot() {
        addCamera("0", Lens.BACK)
        addCamera("1", Lens.FRONT)
        grant()
        val view = start().get().view
        view.open { detector(FixedModel(listOf(floatArrayOf(0.25f, 0.5f, 0.5f, 1f, 1f, 0.9f)))) }
        view.giveSurface()
        view.lens = Lens.FRONT
        settle()
        assertTrue(view.phoneCamera!!.isMirrored)
        var frame: DetectedFrame? = null
        view.onFrame = { frame = it }
        view.receive()
        until { frame != null }
        assertEquals(240f, frame!!.objects.single().box.left)
        view.boxes.layout(0, 0, 240, 320)
        val shown = rendered(view.boxes, "detector-view-mirrored")
        assertTrue("a line at the right side", shown.getPixel(120, 120) != 0)
        assertEquals(0, shown.getPixel(180, 120))
    }

    @Test
    fun withTrackingAnObjectKeepsItsId() {
        addCamera("0", Lens.BACK)
        grant()
        val view = start().get().view
        val frames = mutableListOf<DetectedFrame>()
        view.onFrame = { frames += it }
        view.tracks = true
        val model = FixedModel(listOf(floatArrayOf(0.2f, 0.2f, 0.6f, 0.6f, 1f, 0.9f)))
        view.open { detector(model) }
        view.giveSurface()
        view.receive()
        until { frames.size == 1 }
        model.rows = listOf(floatArrayOf(0.22f, 0.2f, 0.62f, 0.6f, 1f, 0.15f)) // too weak to be reported without a track
        view.receive()
        until { frames.size == 2 }
        assertEquals(listOf(1, 1), frames.map { it.objects.single().trackId })
        assertEquals(0.15f, frames[1].objects.single().score)
        rendered(view.boxes, "detector-view-ids")
    }

    @Test
    fun aWarmPhoneDetectsLessOften() {
        addCamera("0", Lens.BACK)
        grant()
        val view = start().get().view
        var frames = 0
        view.onFrame = { frames++ }
        view.pacer = FramePacer(PacerSettings(rates = listOf(30.0, 0.0, 0.0, 0.0)))
        shadowOf(context.getSystemService(PowerManager::class.java)).setCurrentThermalStatus(PowerManager.THERMAL_STATUS_MODERATE)
        view.open { detector(FixedModel(emptyList())) }
        view.giveSurface()
        view.receive()
        until { view.pacer.counts[FrameDecision.HEAT] == 1L }
        assertEquals(0, frames)
        assertTrue(view.pacer.notice, "too hot" in view.pacer.notice)
    }

    @Test
    fun theDetectorLivesInOneThreadAsLongAsTheView() {
        grant()
        addCamera("0", Lens.BACK)
        val controller = start()
        val view = controller.get().view
        val model = FixedModel(emptyList())
        var opened = 0L
        view.open {
            opened = Thread.currentThread().id
            detector(model)
        }
        var frames = 0
        view.onFrame = { frames++ }
        view.giveSurface()
        view.receive()
        until { frames == 1 }
        (view.parent as ViewGroup).removeView(view)
        until { model.isClosed }
        assertEquals(setOf(opened), model.threads)
        assertTrue(opened != Looper.getMainLooper().thread.id)
    }

    @Test
    fun whatFailsIsShownAndTold() {
        grant()
        val view = start().get().view
        val problems = mutableListOf<String>()
        view.onProblem = { problems += it }
        view.giveSurface()
        assertEquals("this phone has no camera", view.message!!.text)
        addCamera("0", Lens.BACK)
        view.open { throw MobileDetException("no bundle") }
        until { view.message?.text == "no bundle" }
        view.onWindowFocusChanged(true) // a camera without a detector would hide the reason
        settle()
        assertEquals("no bundle", view.message!!.text)
        val model = FixedModel(emptyList()).apply { problem = "LiteRT cannot run the file" }
        view.open { detector(model) }
        settle()
        assertNull(view.message)
        view.receive()
        until { problems.size == 3 }
        assertEquals(listOf("this phone has no camera", "no bundle", "LiteRT cannot run the file"), problems)
        assertEquals("LiteRT cannot run the file", view.message!!.text)
    }

    @Test
    fun torchAndZoomAreRequested() {
        addCamera("0", Lens.BACK, torch = true)
        val camera = PhoneCamera.find(context, Lens.BACK)
        assertTrue(camera.hasTorch)
        assertEquals(1f..8f, camera.zoomRange)
        grant()
        var opened: CameraDevice? = null
        val callback = object : CameraDevice.StateCallback() {
            override fun onOpened(camera: CameraDevice) {
                opened = camera
            }

            override fun onDisconnected(camera: CameraDevice) = Unit

            override fun onError(camera: CameraDevice, error: Int) = Unit
        }
        context.getSystemService(CameraManager::class.java).openCamera("0", callback, Handler(Looper.getMainLooper()))
        until { opened != null }
        val request = opened!!.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
        camera.configure(request, torch = true, zoom = 4f)
        assertEquals(CaptureRequest.FLASH_MODE_TORCH, request.get(CaptureRequest.FLASH_MODE))
        assertEquals(Rect(1500, 1125, 2500, 1875), request.get(CaptureRequest.SCALER_CROP_REGION))
        camera.configure(request, torch = false, zoom = 100f)
        assertEquals(CaptureRequest.FLASH_MODE_OFF, request.get(CaptureRequest.FLASH_MODE))
        assertEquals(Rect(1750, 1313, 2250, 1687), request.get(CaptureRequest.SCALER_CROP_REGION))
        assertEquals(Rect(1500, 1125, 2500, 1875), PhoneCamera.middle(Rect(0, 0, 4000, 3000), 4f))
        assertEquals(Rect(0, 0, 4000, 3000), PhoneCamera.middle(Rect(0, 0, 4000, 3000), 1f))
    }

    @Test
    fun imagesAreTurnedForEachSideOfThePhone() {
        addCamera("0", Lens.BACK)
        addCamera("1", Lens.FRONT)
        val (back, front) = listOf(Lens.BACK, Lens.FRONT).map { PhoneCamera.find(context, it) }
        val turns = listOf(Orientation.QUARTER_TURN, Orientation.UPRIGHT, Orientation.THREE_QUARTERS, Orientation.HALF_TURN)
        assertEquals(turns, listOf(0, 90, 180, 270).map(back::orientation))
        val mirrored = listOf(Orientation.THREE_QUARTERS, Orientation.UPRIGHT, Orientation.QUARTER_TURN, Orientation.HALF_TURN)
        assertEquals(mirrored, listOf(0, 90, 180, 270).map(front::orientation))
    }

    @Test
    fun imagesAndPreviewShowTheSamePart() {
        fun sizes(images: List<Size>, previews: List<Size>) = PhoneCamera.streamSizes(images, previews)
        assertEquals(Size(640, 480) to Size(1440, 1080), sizes(listOf(Size(1920, 1080), Size(640, 480)), listOf(Size(1920, 1080), Size(1440, 1080), Size(4000, 3000))))
        // no preview of 4:3: images of 16:9
        assertEquals(Size(1280, 720) to Size(1920, 1080), sizes(listOf(Size(640, 480), Size(1280, 720)), listOf(Size(1920, 1080))))
        assertEquals(Size(640, 480) to Size(640, 480), sizes(listOf(Size(640, 480)), emptyList()))
        assertNull(sizes(emptyList(), listOf(Size(640, 480))))
    }

    @Test
    fun captionsOfManyObjectsDoNotCoverEachOther() {
        val painter = BoxPainter(context.resources)
        val shown = Bitmap.createBitmap(400, 300, Bitmap.Config.ARGB_8888)
        val many = List(25) { Detection("a long name", it, 0.9f, RectF(20f + it, 60f + it, 200f + it, 250f)) } +
            Detection("at the edge", 40, 0.5f, RectF(380f, 5f, 399f, 40f))
        painter.draw(Canvas(shown), many) { it }
        System.getProperty("mobiledet.screenshots")?.let { folder ->
            File(folder, "many-boxes.png").outputStream().use { shown.compress(Bitmap.CompressFormat.PNG, 100, it) }
        }
        // the caption of the last box begins left of it, where it fits
        assertTrue(shown.getPixel(370, 5) != 0)
    }

    @Test
    fun atMostFourThreadsUnlessMoreAreRequested() {
        assertEquals(listOf(4, 4, 2, 8), listOf(0 to 8, 0 to 4, 0 to 2, 8 to 8).map { (asked, cores) -> LiteRtModel.threadCount(asked, cores) })
    }
}
