package dev.mobiledet.android

import dev.mobiledet.core.Frame
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.StageTimes
import dev.mobiledet.core.Tracked
import dev.mobiledet.core.Tracker

/**
 * What was detected in one camera image.
 *
 * @property objects best score first, or with tracking by its rules; boxes in pixels of the upright image.
 * @property height of the upright image.
 * @property width of the upright image.
 */
public class DetectedFrame(
    public val objects: List<Detection>,
    public val height: Int,
    public val width: Int,
    public val times: StageTimes,
) {
    /** Duration of all steps in milliseconds. */
    public val milliseconds: Double
        get() = (times.decode + times.preprocess + times.infer + times.postprocess) / NS_PER_MS

    private companion object {
        const val NS_PER_MS = 1e6
    }
}

/**
 * Detects objects in the successive images of one camera. Not thread-safe.
 *
 * @param minScore as in [Detector.detect].
 * @param tracks give the objects persistent ids, [Detection.trackId], by [Tracker]. A detection below the threshold then
 *   continues a track, but begins none.
 */
public class FrameDetector @JvmOverloads constructor(
    private val detector: Detector,
    private val minScore: Float? = null,
    tracks: Boolean = false,
) {
    private val tracker = if (tracks) Tracker({ minScore?.toDouble() ?: detector.threshold(it) }) else null

    /** Detects in the next image; [orientation] turns it upright. */
    public fun detect(image: Frame, orientation: Orientation): DetectedFrame {
        val found = detector.detectTimed(image, orientation)
        val objects = if (tracker == null) detector.list(found.detections, minScore) else tracked(tracker.update(found.detections))
        return DetectedFrame(objects, found.height, found.width, found.times)
    }

    private fun tracked(tracked: Tracked) =
        tracked.ids.indices.map { detector.detection(tracked.objects, it).copy(trackId = tracked.ids[it]) }
}
