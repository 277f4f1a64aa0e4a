package dev.mobiledet.android

import android.content.Context
import android.graphics.Bitmap
import android.graphics.RectF
import dev.mobiledet.core.Bundle
import dev.mobiledet.core.Detections
import dev.mobiledet.core.DetectorSession
import dev.mobiledet.core.Execution
import dev.mobiledet.core.Found
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.RgbImage
import java.io.Closeable
import java.io.File

/** One object: its class, the data set's id of that class, how sure the model is (0..1), and where it is in pixels. */
public data class Detection(val label: String, val categoryId: Int, val score: Float, val box: RectF)

/**
 * Finds objects in pictures with a bundle of `mobiledet export`.
 *
 * ```
 * val detector = Detector.open(context, "shapes.mobiledet")
 * for (found in detector.detect(bitmap)) Log.i("app", "${found.label} ${found.score} ${found.box}")
 * detector.close()
 * ```
 * For one thread at a time: keep it to a worker thread, for [open] and [detect] take their time.
 */
public class Detector private constructor(private val session: DetectorSession) : Closeable {
    /** Class names, in the order of the model. */
    public val labels: List<String> get() = session.bundle.spec.labels

    /** Whether a photograph must be turned as its EXIF data say before [detect] sees it; see [Pictures.decode]. */
    public val appliesOrientation: Boolean get() = session.bundle.spec.input.appliesOrientation

    /** What really runs the model file. */
    public val execution: Execution get() = session.execution

    /**
     * Objects in a picture, best first.
     *
     * @param bitmap of any configuration and size.
     * @param rotationDegrees by which the picture must be turned clockwise to stand upright: 0, 90, 180 or 270. Boxes are
     *     in pixels of the picture as it is given.
     * @param leastScore leaves out what scores less; by default the thresholds of each class that `mobiledet thresholds`
     *     stored in the bundle do, or 0.3 where it has none.
     * @throws MobileDetException the runtime fails.
     */
    @JvmOverloads
    public fun detect(bitmap: Bitmap, rotationDegrees: Int = 0, leastScore: Float? = null): List<Detection> =
        detect(Pictures.pixels(bitmap), Orientation.ofRotation(rotationDegrees), leastScore)

    /** As above, for pixels that are there already, such as those of [CameraStream]. */
    @JvmOverloads
    public fun detect(image: RgbImage, orientation: Orientation, leastScore: Float? = null): List<Detection> =
        list(find(image, orientation).detections, orientation, image, leastScore)

    /** What one picture gives with the time of each step; boxes in pixels of the upright picture. */
    public fun find(image: RgbImage, orientation: Orientation = Orientation.UPRIGHT): Found {
        val started = System.nanoTime()
        return session.detect(orientation.turn(image), started)
    }

    /** Replays the file's golden cases; throws [MobileDetException] where this phone gives something else. */
    public fun check() {
        session.golden()
    }

    override fun close(): Unit = session.close()

    private fun list(found: Detections, orientation: Orientation, image: RgbImage, leastScore: Float?): List<Detection> {
        val spec = session.bundle.spec
        return (0 until found.size).filter { session.file.shows(found.labels[it], found.scores[it], leastScore) }.map { index ->
            val label = found.labels[index]
            val box = orientation.toStored(found.box(index), image.width.toFloat(), image.height.toFloat())
            Detection(spec.labels[label], spec.categoryIds[label], found.scores[index], RectF(box.x1, box.y1, box.x2, box.y2))
        }
    }

    public companion object {
        /**
         * Opens a bundle in the app's assets, where `mobiledet export --app android` puts it.
         *
         * @param asset file name in `assets/bundles`.
         * @param file a model file or precision of the bundle; by default the first one.
         * @param accelerator a key of [Acceleration.ways]; `auto` is XNNPACK on the processor.
         * @throws MobileDetException the bundle is missing or damaged, or cannot be run so.
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

        /** Runs a bundle that is open already; [threads] of the processor, 0 takes every core. */
        @JvmStatic
        @JvmOverloads
        public fun open(bundle: Bundle, file: String = "", accelerator: String = "auto", threads: Int = 0): Detector {
            val chosen = bundle.select(file)
            val model = LiteRtModel.load(File(bundle.root, chosen.path), bundle.spec, accelerator, threads)
            return Detector(DetectorSession(bundle, chosen, model) { Pictures.decode(it, applyOrientation = false) })
        }
    }
}
