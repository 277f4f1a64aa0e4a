package dev.mobiledet.android

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.util.Size
import dev.mobiledet.core.Crop
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.Plane
import dev.mobiledet.core.YuvImage
import java.io.Closeable

private const val TARGET_PIXELS = 640 * 480

/**
 * Delivers images of the back camera one after the other; images that arrive while one is being processed are skipped.
 *
 * The app must hold the permission CAMERA.
 *
 * @param displayDegrees rotation of the display from its natural orientation: 0, 90, 180 or 270.
 * @param onImage receives each image and how it must be turned to be upright, in a thread of the stream; the image is valid
 *     until it returns.
 * @param onProblem receives one line of text when the camera fails.
 */
public class CameraStream(
    private val context: Context,
    private val displayDegrees: Int,
    private val onImage: (YuvImage, Orientation) -> Unit,
    private val onProblem: (String) -> Unit,
) : Closeable {
    private val manager = context.getSystemService(CameraManager::class.java)
    private val thread = HandlerThread("mobiledet-camera").apply { start() }
    private val handler = Handler(thread.looper)
    private var device: CameraDevice? = null
    private var reader: ImageReader? = null
    private var isClosed = false

    /** Opens the camera and returns at once. Throws [MobileDetException] if the phone has no camera that can be opened. */
    @SuppressLint("MissingPermission") // the app has asked for it; without it the system throws
    public fun start() {
        try {
            val id = manager.cameraIdList.firstOrNull { facing(it) == CameraCharacteristics.LENS_FACING_BACK }
                ?: manager.cameraIdList.firstOrNull()
                ?: throw MobileDetException("this phone has no camera")
            val features = manager.getCameraCharacteristics(id)
            val orientation = orientation(features)
            val size = size(features)
            reader = ImageReader.newInstance(size.width, size.height, ImageFormat.YUV_420_888, 2).apply {
                setOnImageAvailableListener({ deliver(it, orientation) }, handler)
            }
            manager.openCamera(id, DeviceCallback(), handler)
        } catch (error: CameraAccessException) {
            throw MobileDetException("the camera cannot be opened: ${error.message}", error)
        } catch (error: SecurityException) {
            throw MobileDetException("the app has no permission to use the camera", error)
        }
    }

    override fun close() {
        handler.post {
            isClosed = true
            device?.close()
            reader?.close()
            thread.quitSafely()
        }
    }

    private fun facing(id: String) = manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING)

    private fun orientation(features: CameraCharacteristics): Orientation {
        val sensor = features.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0
        val front = features.get(CameraCharacteristics.LENS_FACING) == CameraCharacteristics.LENS_FACING_FRONT
        return Orientation.ofRotation(if (front) sensor + displayDegrees else sensor - displayDegrees)
    }

    private fun size(features: CameraCharacteristics): Size {
        val map = features.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)
        val sizes = map?.getOutputSizes(ImageFormat.YUV_420_888).orEmpty()
        return sizes.minByOrNull { Math.abs(it.width * it.height - TARGET_PIXELS) }
            ?: throw MobileDetException("the camera delivers no images that an app can read")
    }

    private fun deliver(reader: ImageReader, orientation: Orientation) {
        reader.acquireLatestImage()?.use { if (!isClosed) onImage(frame(it), orientation) }
    }

    private fun frame(image: Image): YuvImage {
        val (y, u, v) = image.planes.map { Plane(it.buffer, it.rowStride, it.pixelStride) }
        val crop = image.cropRect
        return YuvImage(image.height, image.width, y, u, v, crop = Crop(crop.left, crop.top, crop.width(), crop.height()))
    }

    private inner class DeviceCallback : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            device = camera
            if (isClosed) return camera.close()
            try {
                // the newer form, with an executor, does not exist before Android 9
                @Suppress("DEPRECATION")
                camera.createCaptureSession(listOf(reader!!.surface), SessionCallback(camera), handler)
            } catch (error: CameraAccessException) {
                onProblem("the camera cannot be used: ${error.message}")
            }
        }

        override fun onDisconnected(camera: CameraDevice) {
            camera.close()
            onProblem("another app has taken the camera")
        }

        override fun onError(camera: CameraDevice, error: Int) {
            camera.close()
            onProblem("the camera failed with error $error")
        }
    }

    private inner class SessionCallback(private val camera: CameraDevice) : CameraCaptureSession.StateCallback() {
        override fun onConfigured(session: CameraCaptureSession) {
            try {
                val request = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
                request.addTarget(reader!!.surface)
                request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE)
                session.setRepeatingRequest(request.build(), null, handler)
            } catch (error: CameraAccessException) {
                onProblem("the camera cannot be used: ${error.message}")
            } catch (_: IllegalStateException) { // closed in the meantime
            }
        }

        override fun onConfigureFailed(session: CameraCaptureSession) = onProblem("the camera refuses to deliver images")
    }
}
