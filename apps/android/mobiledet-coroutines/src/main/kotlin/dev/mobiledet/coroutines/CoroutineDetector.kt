package dev.mobiledet.coroutines

import android.content.Context
import android.graphics.Bitmap
import dev.mobiledet.android.DetectedFrame
import dev.mobiledet.android.Detection
import dev.mobiledet.android.Detector
import dev.mobiledet.android.FrameDetector
import java.io.Closeable
import java.util.concurrent.Executors
import kotlinx.coroutines.ExecutorCoroutineDispatcher
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.withContext

/**
 * A [Detector] for coroutines: its functions may be called on any thread, the main one included.
 *
 * ```
 * val detector = CoroutineDetector.open(context, "shapes.mobiledet")
 * val found = detector.detect(bitmap)
 * detector.detections(cameraFrames(context, displayDegrees)).collect { frame -> show(frame.objects) }
 * ```
 * The detector has one thread, where calls wait for each other; some accelerators run only in the thread that opened them.
 */
public class CoroutineDetector private constructor(
    private val detector: Detector,
    private val thread: ExecutorCoroutineDispatcher,
) : Closeable {
    /** Class names, in the order of the model. */
    public val labels: List<String> get() = detector.labels

    /** As [Detector.detect]; throws as it does. If the coroutine is cancelled meanwhile, the result is dropped. */
    public suspend fun detect(bitmap: Bitmap, rotationDegrees: Int = 0, minScore: Float? = null): List<Detection> =
        withContext(thread) { detector.detect(bitmap, rotationDegrees, minScore) }

    /**
     * The detections in each frame, in order; [cameraFrames] skips frames that arrive during a detection or while the
     * result is being collected. The flow ends with that of the frames, and fails as [Detector.detect].
     *
     * @param minScore as in [Detector.detect].
     * @param tracks give the objects persistent ids, see [FrameDetector]; they begin anew with each collection.
     */
    public fun detections(
        frames: Flow<CameraFrame>, minScore: Float? = null, tracks: Boolean = false,
    ): Flow<DetectedFrame> = flow {
        val detecting = FrameDetector(detector, minScore, tracks)
        frames.collect { emit(detecting.detect(it.image, it.orientation)) }
    }.flowOn(thread).buffer(Channel.RENDEZVOUS)

    /** Runs something else with the detector, in its thread, such as [Detector.check]. */
    public suspend fun <T> use(work: (Detector) -> T): T = withContext(thread) { work(detector) }

    /** Closes the detector after the running call, without waiting for it. */
    override fun close() {
        thread.executor.execute(detector::close)
        thread.close()
    }

    public companion object {
        /** Opens a bundle in the app's assets; see [Detector.open]. */
        public suspend fun open(
            context: Context, asset: String, file: String = "", accelerator: String = "auto",
        ): CoroutineDetector = open { Detector.open(context, asset, file, accelerator) }

        /** Opens a detector in the thread that will run it; throws what [factory] throws. */
        public suspend fun open(factory: () -> Detector): CoroutineDetector {
            val thread = Executors.newSingleThreadExecutor { Thread(it, "mobiledet-detector") }.asCoroutineDispatcher()
            var opened: Detector? = null
            try {
                val detector = withContext(thread) { factory().also { opened = it } }
                return CoroutineDetector(detector, thread)
            } catch (error: Throwable) { // a cancellation included
                thread.executor.execute { opened?.close() }
                thread.close()
                throw error
            }
        }
    }
}
