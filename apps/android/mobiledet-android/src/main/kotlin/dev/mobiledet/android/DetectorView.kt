package dev.mobiledet.android

import android.Manifest
import android.app.Activity
import android.content.Context
import android.content.ContextWrapper
import android.content.Intent
import android.content.pm.PackageManager
import android.content.res.Configuration
import android.graphics.Color
import android.hardware.display.DisplayManager
import android.net.Uri
import android.os.Bundle
import android.os.Handler
import android.os.HandlerThread
import android.os.Looper
import android.os.Parcelable
import android.provider.Settings
import android.util.AttributeSet
import android.util.Size
import android.view.Gravity
import android.view.SurfaceHolder
import android.view.SurfaceView
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.FrameLayout
import android.widget.TextView
import dev.mobiledet.core.Frame
import dev.mobiledet.core.FrameDecision
import dev.mobiledet.core.FramePacer
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import kotlin.math.roundToInt

private const val QUARTER_TURN = 90
private const val PADDING_DP = 16
private const val ASKED = "asked"
private const val STATE = "state"
private const val DENIED = "The camera needs your permission. Tap here to allow it."

/**
 * The preview of a camera with boxes of the detected objects: everything from the permission to the overlay in one view.
 *
 * ```
 * val view = DetectorView(this)
 * view.open { Detector.open(this, "shapes.mobiledet") }
 * view.onFrame = { frame -> Log.i("app", "${frame.objects}") }
 * setContentView(view)
 * ```
 * It asks for the permission CAMERA once (the manifest must contain it), and uses the camera while its surface is visible.
 * The camera itself fills the surface; the main thread only draws boxes. All members belong to the main thread.
 */
public class DetectorView @JvmOverloads constructor(context: Context, attributes: AttributeSet? = null) :
    FrameLayout(context, attributes) {
    private val surface = SurfaceView(context)
    private val boxes = BoxesView(context)
    private val message = TextView(context)
    private val main = Handler(Looper.getMainLooper())
    private var hasSurface = false
    private var surfaceSize: Size? = null
    private var hasAsked = false // for the permission
    private var factory: (() -> Detector)? = null
    private var camera: PhoneCamera? = null
    private var stream: CameraStream? = null
    private var broken: String? = null // why there is no detector
    internal var worker: Worker? = null
        private set

    /** Called when the camera is known, and again after each change of [lens]. */
    public var onCamera: (PhoneCamera) -> Unit = {}

    /** Called with the detections of each image. */
    public var onFrame: (DetectedFrame) -> Unit = {}

    /** Called when the detector is open. */
    public var onReady: (Detector) -> Unit = {}

    /** Called with one line of text when the camera or the detector fails; the view shows it, too. */
    public var onProblem: (String) -> Unit = {}

    /** Which camera is used. */
    public var lens: Lens = Lens.BACK
        set(value) {
            if (field == value) return
            field = value
            restart()
        }

    /** Whether the lamp is lit, if the camera has one. */
    public var torch: Boolean = false
        set(value) {
            field = value
            stream?.torch = value
        }

    /** The zoom ratio; the camera uses the nearest one in its range. */
    public var zoom: Float = 1f
        set(value) {
            field = value
            stream?.zoom = value
        }

    /** Whether the preview fills the view and is cut off at two sides; otherwise everything that is detected is visible. */
    public var fills: Boolean = false
        set(value) {
            field = value
            boxes.fills = value
            requestLayout()
        }

    /** Lowest score of a shown detection; by default the thresholds of the bundle, as in [Detector.detect]. */
    public var minScore: Float? = null
        set(value) {
            field = value
            worker?.configure(value, tracks)
        }

    /** Whether objects have persistent ids; see [FrameDetector]. */
    public var tracks: Boolean = false
        set(value) {
            field = value
            worker?.configure(minScore, value)
        }

    /** Decides which images are processed: it limits the rate, the more so when the phone is warm. */
    @Volatile
    public var pacer: FramePacer = FramePacer()

    /** The camera in use; null until it is known. */
    public val phoneCamera: PhoneCamera? get() = camera

    init {
        if (id == NO_ID) id = DEFAULT_ID // a view without an id forgets that it has asked
        setBackgroundColor(Color.BLACK)
        val padding = (PADDING_DP * resources.displayMetrics.density).roundToInt()
        message.apply {
            setTextColor(Color.WHITE)
            setBackgroundColor(Color.BLACK)
            setPadding(padding, padding, padding, padding)
            visibility = View.GONE
        }
        addView(surface)
        addView(boxes, LayoutParams(MATCH_PARENT, MATCH_PARENT))
        addView(message, LayoutParams(WRAP_CONTENT, WRAP_CONTENT, Gravity.CENTER))
        surface.holder.addCallback(SurfaceCallback())
    }

    /**
     * Opens a detector in the view's worker thread, and again when the view returns to a window; it is closed when the view
     * leaves the window. Boxes appear as soon as it is open.
     */
    public fun open(factory: () -> Detector) {
        this.factory = factory
        broken = null
        worker?.open(factory)
        start()
    }

    override fun onAttachedToWindow() {
        super.onAttachedToWindow()
        worker = Worker().also { started ->
            started.configure(minScore, tracks)
            factory?.let(started::open)
        }
        context.getSystemService(DisplayManager::class.java).registerDisplayListener(displayListener, main)
    }

    override fun onDetachedFromWindow() {
        context.getSystemService(DisplayManager::class.java).unregisterDisplayListener(displayListener)
        stop()
        worker?.close()
        worker = null
        super.onDetachedFromWindow()
    }

    /** The permission dialog and the settings return the focus. */
    override fun onWindowFocusChanged(hasWindowFocus: Boolean) {
        super.onWindowFocusChanged(hasWindowFocus)
        if (hasWindowFocus) start()
    }

    override fun onConfigurationChanged(newConfig: Configuration?) {
        super.onConfigurationChanged(newConfig)
        turn()
    }

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        super.onLayout(changed, left, top, right, bottom)
        val size = camera?.previewSize ?: return surface.layout(0, 0, right - left, bottom - top)
        val isTurned = camera!!.orientation(displayDegrees()).swapsSides
        val (height, width) = if (isTurned) size.width to size.height else size.height to size.width
        val place = PreviewPlacement.of(height, width, bottom - top, right - left, fills, isMirrored = false)
        surface.measure(exactly(place.width), exactly(place.height))
        val (x, y) = place.left.roundToInt() to place.top.roundToInt()
        surface.layout(x, y, x + surface.measuredWidth, y + surface.measuredHeight)
    }

    override fun onSaveInstanceState(): Parcelable = Bundle().apply {
        putParcelable(STATE, super.onSaveInstanceState())
        putBoolean(ASKED, hasAsked)
    }

    @Suppress("DEPRECATION") // the newer form does not exist before Android 13
    override fun onRestoreInstanceState(state: Parcelable?) {
        val saved = state as? Bundle ?: return super.onRestoreInstanceState(state)
        hasAsked = saved.getBoolean(ASKED)
        super.onRestoreInstanceState(saved.getParcelable(STATE))
    }

    /** Uses the camera, or does the next thing that is needed for it. */
    private fun start() {
        if (stream != null || !hasSurface || worker == null) return
        broken?.let { return say(it) }
        if (context.checkSelfPermission(Manifest.permission.CAMERA) != PackageManager.PERMISSION_GRANTED) return ask()
        say(null)
        try {
            val found = camera ?: PhoneCamera.find(context, lens).also(::prepare)
            if (surfaceSize != found.previewSize) return surface.holder.setFixedSize(found.previewSize.width, found.previewSize.height)
            stream = stream(found)
            stream!!.start()
        } catch (error: MobileDetException) {
            fail(error.message)
        }
    }

    private fun prepare(found: PhoneCamera) {
        camera = found
        boxes.isMirrored = found.isMirrored
        requestLayout()
        onCamera(found)
    }

    private fun stream(found: PhoneCamera): CameraStream {
        val running = worker!!
        return CameraStream(
            context, displayDegrees(), running::detect, { problem -> main.post { fail(problem) } }, found, surface.holder.surface,
            running.handler,
        ).also { opened ->
            opened.torch = torch
            opened.zoom = zoom
        }
    }

    private fun stop() {
        stream?.close()
        stream = null
        boxes.show(null)
    }

    private fun restart() {
        stop()
        camera = null
        start()
    }

    private fun turn() {
        stream?.displayDegrees = displayDegrees()
        requestLayout()
    }

    private fun fail(problem: String) {
        stop()
        say(problem)
        onProblem(problem)
    }

    /** Asks for the permission; after a denial a tap asks again, or opens the settings if the system asks no more. */
    private fun ask() {
        val activity = activity()
        if (!hasAsked && activity != null) {
            hasAsked = true
            return activity.requestPermissions(arrayOf(Manifest.permission.CAMERA), 0)
        }
        say(DENIED) {
            if (activity?.shouldShowRequestPermissionRationale(Manifest.permission.CAMERA) == true) {
                activity.requestPermissions(arrayOf(Manifest.permission.CAMERA), 0)
            } else {
                val page = Uri.fromParts("package", context.packageName, null)
                context.startActivity(Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, page))
            }
        }
    }

    private fun activity(): Activity? =
        generateSequence(context) { (it as? ContextWrapper)?.baseContext }.firstNotNullOfOrNull { it as? Activity }

    private fun say(text: String?, onTap: (() -> Unit)? = null) {
        message.text = text
        message.visibility = if (text == null) View.GONE else View.VISIBLE
        message.setOnClickListener(onTap?.let { tap -> View.OnClickListener { tap() } })
        message.isClickable = onTap != null
    }

    /** Of the display from its natural orientation. */
    private fun displayDegrees() = (display?.rotation ?: 0) * QUARTER_TURN

    private fun exactly(size: Float) = MeasureSpec.makeMeasureSpec(size.roundToInt(), MeasureSpec.EXACTLY)

    private val displayListener = object : DisplayManager.DisplayListener {
        override fun onDisplayAdded(displayId: Int) = Unit

        override fun onDisplayRemoved(displayId: Int) = Unit

        /** A half turn changes no configuration. */
        override fun onDisplayChanged(displayId: Int) = turn()
    }

    private inner class SurfaceCallback : SurfaceHolder.Callback {
        override fun surfaceCreated(holder: SurfaceHolder) = Unit

        override fun surfaceChanged(holder: SurfaceHolder, format: Int, width: Int, height: Int) {
            hasSurface = true
            surfaceSize = Size(width, height)
            start()
        }

        override fun surfaceDestroyed(holder: SurfaceHolder) {
            hasSurface = false
            stop()
        }
    }

    /** The thread of the detector: some accelerators run only where they were opened. */
    internal inner class Worker {
        private val thread = HandlerThread("mobiledet-detector").apply { start() }
        val handler = Handler(thread.looper)
        private val thermal = PhoneThermal(context)
        private var detector: Detector? = null
        private var frames: FrameDetector? = null
        private var minScore: Float? = null
        private var tracks = false

        fun configure(minScore: Float?, tracks: Boolean) = run {
            this.minScore = minScore
            this.tracks = tracks
            frames = detector?.let { FrameDetector(it, minScore, tracks) }
        }

        fun open(factory: () -> Detector) = run {
            forget()
            val opened = try {
                factory()
            } catch (error: MobileDetException) {
                return@run show {
                    broken = error.message
                    fail(error.message)
                }
            }
            detector = opened
            frames = FrameDetector(opened, minScore, tracks)
            show { onReady(opened) }
        }

        /** Called in this thread. */
        fun detect(image: Frame, orientation: Orientation) {
            val detecting = frames ?: return
            val deciding = pacer
            if (deciding.decide(System.nanoTime(), thermal.level()) != FrameDecision.DETECT) return
            try {
                val frame = detecting.detect(image, orientation)
                show {
                    if (stream != null) boxes.show(frame)
                    onFrame(frame)
                }
            } catch (error: MobileDetException) {
                show { fail(error.message) }
            } finally {
                deciding.finish()
            }
        }

        fun close() {
            run(::forget)
            thread.quitSafely()
        }

        private fun forget() {
            detector?.close()
            detector = null
            frames = null
        }

        private fun run(work: () -> Unit) {
            handler.post(work)
        }

        /** On the main thread, unless the view has left its window. */
        private fun show(what: () -> Unit) {
            main.post { if (worker === this) what() }
        }
    }

    private companion object {
        val DEFAULT_ID = generateViewId()
    }
}
