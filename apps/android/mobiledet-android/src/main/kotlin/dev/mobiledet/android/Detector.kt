package dev.mobiledet.android

import android.content.Context
import android.graphics.Bitmap
import android.graphics.RectF
import dev.mobiledet.core.Bundle
import dev.mobiledet.core.Detections
import dev.mobiledet.core.DetectorSession
import dev.mobiledet.core.Execution
import dev.mobiledet.core.Frame
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.ModelFile
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.TimedDetections
import java.io.Closeable
import java.io.File

/**
 * A detected object: class, the data set's id of that class, score (0..1), and box in pixels of the upright image.
 *
 * @property trackId the same number for the same object in successive images; null without tracking.
 */
public data class Detection @JvmOverloads constructor(
    val label: String,
    val categoryId: Int,
    val score: Float,
    val box: RectF,
    val trackId: Int? = null,
) {
    /** What is written at its box. */
    internal val caption: String
        get() = listOfNotNull(trackId?.let { "#$it" }, label, "${Math.round(score * 100)} %").joinToString(" ")
}

/**
 * Detects objects in images with a bundle from `mobiledet export`.
 *
 * ```
 * val detector = Detector.open(context, "shapes.mobiledet")
 * for (detection in detector.detect(bitmap)) Log.i("app", "${detection.label} ${detection.score} ${detection.box}")
 * detector.close()
 * ```
 * Not thread-safe; use it on a worker thread, because [open] and [detect] are slow.
 *
 * @constructor uses a session whose model is run by another runtime, or by a double in tests; it is closed with the detector.
 */
public class Detector public constructor(private val session: DetectorSession) : Closeable {
    /** Class names, in the order of the model. */
    public val labels: List<String> get() = session.bundle.spec.labels

    /** Whether a photo must be turned by its EXIF orientation before [detect]; see [Pictures.decode]. */
    public val appliesOrientation: Boolean get() = session.bundle.spec.input.appliesOrientation

    /** How the model file is actually executed. */
    public val execution: Execution get() = session.execution

    /**
     * Detects objects in an image, best score first.
     *
     * @param bitmap of any configuration and size.
     * @param rotationDegrees clockwise rotation that makes the image upright: 0, 90, 180 or 270. Boxes are in pixels of the
     *     upright image.
     * @param minScore lowest score of a returned detection; by default the thresholds for each class that
     *     `mobiledet thresholds` stored in the bundle, or 0.3 if it contains none.
     * @throws MobileDetException the runtime fails.
     */
    @JvmOverloads
    public fun detect(bitmap: Bitmap, rotationDegrees: Int = 0, minScore: Float? = null): List<Detection> =
        detect(Pictures.frame(bitmap), Orientation.ofRotation(rotationDegrees), minScore)

    /** The same for an image in memory, such as a frame of [CameraStream], which is read in one pass into the model's input. */
    @JvmOverloads
    public fun detect(image: Frame, orientation: Orientation, minScore: Float? = null): List<Detection> =
        list(detectTimed(image, orientation).detections, minScore)

    /** All detections in an image, with the time of each step; boxes are in pixels of the upright image (of its crop). */
    public fun detectTimed(image: Frame, orientation: Orientation = Orientation.UPRIGHT): TimedDetections =
        session.detect(image, orientation)

    /** Score from which on a detection of a class (its position in [labels]) is reported, if no other is given. */
    public fun threshold(label: Int): Double = session.file.thresholds?.get(label) ?: ModelFile.DEFAULT_SCORE

    /** Replays the file's golden cases; throws [MobileDetException] if this phone does not reproduce them. */
    public fun check() {
        session.golden()
    }

    override fun close(): Unit = session.close()

    /** The detections that reach [minScore] or, by default, their class's threshold. */
    internal fun list(found: Detections, minScore: Float?): List<Detection> =
        (0 until found.size).filter { session.file.shows(found.labels[it], found.scores[it], minScore) }.map { detection(found, it) }

    internal fun detection(found: Detections, index: Int): Detection {
        val spec = session.bundle.spec
        val label = found.labels[index]
        val box = found.box(index)
        return Detection(spec.labels[label], spec.categoryIds[label], found.scores[index], RectF(box.x1, box.y1, box.x2, box.y2))
    }

    public companion object {
        /**
         * Opens a bundle in the app's assets, where `mobiledet export --app android` puts it.
         *
         * @param asset file name in `assets/bundles`.
         * @param file a model file or precision of the bundle; by default the one that the bundle recommends for the accelerator.
         * @param accelerator a key of [Acceleration.backends]; `auto` is XNNPACK on the CPU.
         * @throws MobileDetException the bundle is missing or damaged, or cannot be run with this accelerator.
         */
        @JvmStatic
        @JvmOverloads
        public fun open(context: Context, asset: String, file: String = "", accelerator: String = "auto"): Detector =
            open(BundleAssets(context).open(asset), file, accelerator)

        /** Opens a bundle in a folder. */
        @JvmStatic
        @JvmOverloads
        public fun open(folder: File, file: String = "", accelerator: String = "auto"): Detector =
            open(Bundle.open(folder), file, accelerator)

        /** Uses a bundle that is already open; [threads] is the number of CPU threads, 0 is at most 4. */
        @JvmStatic
        @JvmOverloads
        public fun open(bundle: Bundle, file: String = "", accelerator: String = "auto", threads: Int = 0): Detector {
            val chosen = bundle.select(file, accelerator)
            val model = LiteRtModel.load(File(bundle.root, chosen.path), bundle.spec, accelerator, threads)
            return Detector(DetectorSession(bundle, chosen, model) { Pictures.decode(it, applyOrientation = false) })
        }
    }
}
