package dev.mobiledet.android

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.view.Surface
import dev.mobiledet.core.Crop
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.Plane
import dev.mobiledet.core.YuvImage
import java.io.Closeable

/**
 * Delivers images of a camera one after the other; images that arrive while one is being processed are skipped.
 *
 * The app must hold the permission CAMERA. [DetectorView] does all of this in one view.
 *
 * @param onImage receives each image and how it must be turned to be upright, in the thread of [imageHandler]; the image is
 *   valid until it returns.
 * @param onProblem receives one line of text when the camera fails, in a thread of the stream.
 * @param camera by default the back camera.
 * @param preview a surface of the camera's [PhoneCamera.previewSize], which the camera itself fills.
 * @param imageHandler by default a thread of the stream.
 * @throws MobileDetException the phone has no camera that an app can use.
 * @property displayDegrees rotation of the display from its natural orientation: 0, 90, 180 or 270.
 */
public class CameraStream @JvmOverloads constructor(
    private val context: Context,
    @Volatile public var displayDegrees: Int,
    private val onImage: (YuvImage, Orientation) -> Unit,
    private val onProblem: (String) -> Unit,
    private val camera: PhoneCamera = PhoneCamera.find(context, Lens.BACK),
    private val preview: Surface? = null,
    private val imageHandler: Handler? = null,
) : Closeable {
    private val thread = HandlerThread("mobiledet-camera").apply { start() }
    private val handler = Handler(thread.looper)
    private var device: CameraDevice? = null
    private var session: CameraCaptureSession? = null
    private val reader =
        ImageReader.newInstance(camera.imageSize.width, camera.imageSize.height, ImageFormat.YUV_420_888, 2)

    @Volatile
    private var isClosed = false

    /** Whether the lamp is lit; ignored by a camera without one. */
    @Volatile
    public var torch: Boolean = false
        set(value) {
            field = value
            handler.post(::request)
        }

    /** The zoom ratio, within [PhoneCamera.zoomRange]. */
    @Volatile
    public var zoom: Float = 1f
        set(value) {
            field = value
            handler.post(::request)
        }

    /** Opens the camera and returns at once. Throws [MobileDetException] if it cannot be opened. */
    @SuppressLint("MissingPermission") // the app has asked for it; without it the system throws
    public fun start() {
        reader.setOnImageAvailableListener({ deliver() }, imageHandler ?: handler)
        try {
            context.getSystemService(CameraManager::class.java).openCamera(camera.id, DeviceCallback(), handler)
        } catch (error: CameraAccessException) {
            throw MobileDetException("the camera cannot be opened: ${error.message}", error)
        } catch (error: SecurityException) {
            throw MobileDetException("the app has no permission to use the camera", error)
        }
    }

    override fun close() {
        isClosed = true
        handler.post {
            device?.close()
            synchronized(reader) { reader.close() } // not before the present image is done
            thread.quitSafely()
        }
    }

    private fun deliver() = synchronized(reader) {
        val image = if (isClosed) null else reader.acquireLatestImage()
        image?.use { onImage(frame(it), camera.orientation(displayDegrees)) }
    }

    private fun frame(image: Image): YuvImage {
        val (y, u, v) = image.planes.map { Plane(it.buffer, it.rowStride, it.pixelStride) }
        val crop = image.cropRect
        return YuvImage(image.height, image.width, y, u, v, crop = Crop(crop.left, crop.top, crop.width(), crop.height()))
    }

    /** Requests images with the present settings, until the next request. */
    private fun request() {
        val opened = session ?: return
        if (isClosed) return
        guarded {
            val request = opened.device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
            surfaces().forEach(request::addTarget)
            camera.configure(request, torch, zoom)
            opened.setRepeatingRequest(request.build(), null, handler)
        }
    }

    private fun surfaces() = listOfNotNull(reader.surface, preview)

    /** Reports what the camera refuses. */
    private fun guarded(use: () -> Unit) {
        try {
            use()
        } catch (error: CameraAccessException) {
            report("the camera cannot be used: ${error.message}")
        } catch (error: IllegalArgumentException) { // the preview is gone, or has a size that the camera does not know
            report("the camera cannot be used: ${error.message}")
        } catch (_: IllegalStateException) { // closed in the meantime
        }
    }

    private fun report(problem: String) {
        if (!isClosed) onProblem(problem)
    }

    private inner class DeviceCallback : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            device = camera
            if (isClosed) return camera.close()
            // the newer form, with an executor, does not exist before Android 9
            @Suppress("DEPRECATION")
            guarded { camera.createCaptureSession(surfaces(), SessionCallback(), handler) }
        }

        override fun onDisconnected(camera: CameraDevice) {
            camera.close()
            report("another app has taken the camera")
        }

        override fun onError(camera: CameraDevice, error: Int) {
            camera.close()
            report("the camera failed with error $error")
        }
    }

    private inner class SessionCallback : CameraCaptureSession.StateCallback() {
        override fun onConfigured(session: CameraCaptureSession) {
            this@CameraStream.session = session
            request()
        }

        override fun onConfigureFailed(session: CameraCaptureSession) = report("the camera refuses to deliver images")
    }
}
