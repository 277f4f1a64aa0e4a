package dev.mobiledet.android

import android.content.Context
import android.graphics.ImageFormat
import android.graphics.Rect
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.os.Build
import android.util.Size
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import kotlin.math.abs

private const val IMAGE_PIXELS = 640 * 480
private const val MAX_PREVIEW_PIXELS = 1920 * 1440
private const val SAME_SHAPE = 0.01

/** The side of the phone from which a camera looks. */
public enum class Lens(internal val facing: Int) {
    BACK(CameraCharacteristics.LENS_FACING_BACK),
    FRONT(CameraCharacteristics.LENS_FACING_FRONT),
}

/**
 * A camera of the phone and its abilities.
 *
 * @property imageSize size of the images that an app reads, before they are turned upright.
 * @property previewSize size of the preview, which shows the same part of the world.
 * @property isMirrored whether the system mirrors the preview, as it does for a front camera; images are never mirrored.
 * @property hasTorch whether it has a lamp.
 * @property zoomRange possible zoom ratios.
 */
public class PhoneCamera private constructor(internal val id: String, features: CameraCharacteristics) {
    private val sensorDegrees = features.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0
    private val sensor: Rect? = features.get(CameraCharacteristics.SENSOR_INFO_ACTIVE_ARRAY_SIZE)
    private val zoomRatios =
        if (Build.VERSION.SDK_INT >= 30) features.get(CameraCharacteristics.CONTROL_ZOOM_RATIO_RANGE) else null
    private val focusModes = features.get(CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES) ?: IntArray(0)
    public val imageSize: Size
    public val previewSize: Size
    public val isMirrored: Boolean = features.get(CameraCharacteristics.LENS_FACING) == Lens.FRONT.facing
    public val hasTorch: Boolean = features.get(CameraCharacteristics.FLASH_INFO_AVAILABLE) ?: false
    public val zoomRange: ClosedFloatingPointRange<Float> = if (zoomRatios != null) {
        zoomRatios.lower..zoomRatios.upper
    } else {
        1f..maxOf(1f, features.get(CameraCharacteristics.SCALER_AVAILABLE_MAX_DIGITAL_ZOOM) ?: 1f)
    }

    init {
        val map = features.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)
        val sizes = streamSizes(
            map?.getOutputSizes(ImageFormat.YUV_420_888).orEmpty().toList(),
            map?.getOutputSizes(SurfaceTexture::class.java).orEmpty().toList(),
        ) ?: throw MobileDetException("the camera delivers no images that an app can read")
        imageSize = sizes.first
        previewSize = sizes.second
    }

    /** How an image must be turned to be upright on a display that is rotated by this from its natural orientation. */
    public fun orientation(displayDegrees: Int): Orientation =
        Orientation.ofRotation(if (isMirrored) sensorDegrees + displayDegrees else sensorDegrees - displayDegrees)

    internal fun configure(request: CaptureRequest.Builder, torch: Boolean, zoom: Float) {
        val focus = CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE
        if (focus in focusModes) request.set(CaptureRequest.CONTROL_AF_MODE, focus)
        if (hasTorch) {
            request.set(CaptureRequest.FLASH_MODE, if (torch) CaptureRequest.FLASH_MODE_TORCH else CaptureRequest.FLASH_MODE_OFF)
        }
        val ratio = zoom.coerceIn(zoomRange)
        if (zoomRatios != null && Build.VERSION.SDK_INT >= 30) {
            request.set(CaptureRequest.CONTROL_ZOOM_RATIO, ratio)
        } else if (sensor != null) {
            request.set(CaptureRequest.SCALER_CROP_REGION, middle(sensor, ratio))
        }
    }

    public companion object {
        /**
         * The first camera on this side; if there is none, the first camera.
         *
         * @throws MobileDetException the phone has no camera that an app can use.
         */
        @JvmStatic
        public fun find(context: Context, lens: Lens): PhoneCamera = try {
            val manager = context.getSystemService(CameraManager::class.java)
            val features = manager.cameraIdList.associateWith(manager::getCameraCharacteristics)
            val (id, found) = features.entries.firstOrNull { it.value.get(CameraCharacteristics.LENS_FACING) == lens.facing }
                ?: features.entries.firstOrNull() ?: throw MobileDetException("this phone has no camera")
            PhoneCamera(id, found)
        } catch (error: CameraAccessException) {
            throw MobileDetException("the camera cannot be opened: ${error.message}", error)
        }

        /** The middle of a sensor that a zoom ratio shows. */
        internal fun middle(sensor: Rect, ratio: Float): Rect {
            val halfWidth = (sensor.width() / ratio / 2).toInt()
            val halfHeight = (sensor.height() / ratio / 2).toInt()
            return Rect(
                sensor.centerX() - halfWidth, sensor.centerY() - halfHeight,
                sensor.centerX() + halfWidth, sensor.centerY() + halfHeight,
            )
        }

        /**
         * Sizes of images and preview: images of about 640 x 480, and the largest preview of the same aspect ratio. A
         * camera crops streams of different ratios differently, and boxes would lie beside their objects.
         */
        internal fun streamSizes(images: List<Size>, previews: List<Size>): Pair<Size, Size>? {
            val nearest = images.sortedBy { abs(pixels(it) - IMAGE_PIXELS) }
            val image = nearest.firstOrNull { size -> previews.any { hasShapeOf(it, size) } } ?: nearest.firstOrNull() ?: return null
            val alike = previews.filter { hasShapeOf(it, image) }
            val preview = alike.filter { pixels(it) <= MAX_PREVIEW_PIXELS }.maxByOrNull(::pixels)
                ?: alike.minByOrNull(::pixels) ?: previews.minByOrNull { abs(ratio(it) - ratio(image)) } ?: image
            return image to preview
        }

        private fun pixels(size: Size) = size.width * size.height

        private fun ratio(size: Size) = size.width.toDouble() / size.height

        private fun hasShapeOf(size: Size, other: Size) = abs(ratio(size) / ratio(other) - 1) < SAME_SHAPE
    }
}
