package dev.mobiledet.coroutines

import dev.mobiledet.android.Detector
import dev.mobiledet.core.Bundle
import dev.mobiledet.core.DetectorSession
import dev.mobiledet.core.Execution
import dev.mobiledet.core.LoadedModel
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import dev.mobiledet.core.RawOutputs
import dev.mobiledet.core.RgbImage
import java.io.File
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOf
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class CoroutineDetectorTest {
    /** A double: LiteRT does not exist for this machine. One object, which moves down a little in each image. */
    private class Moving : LoadedModel {
        override val execution = Execution("auto", "double", null, 1)
        val threads = mutableSetOf<Long>()
        val closed = CountDownLatch(1)
        var runs = 0
        var failsAt = Int.MAX_VALUE

        override fun setInput(image: RgbImage) {
            threads += Thread.currentThread().id
        }

        override fun invoke() {
            if (++runs >= failsAt) throw MobileDetException("the runtime fails on purpose")
        }

        override fun outputs() =
            RawOutputs(floatArrayOf(0.1f + runs / 100f, 0.1f, 0.5f + runs / 100f, 0.5f), floatArrayOf(0f), floatArrayOf(0.9f), 1f)

        override fun close() = closed.countDown()
    }

    private val model = Moving()

    private fun detector(): Detector {
        val bundle = Bundle.open(File(System.getProperty("mobiledet.testdata"), "bundles/good"))
        return Detector(DetectorSession(bundle, bundle.files[0], model) { throw AssertionError("no picture is decoded") })
    }

    private val image = RgbImage(48, 64, ByteArray(48 * 64 * 3))
    private val frame = CameraFrame(image, Orientation.QUARTER_TURN)

    @Test
    fun callsOfManyCoroutinesRunInTheThreadThatOpenedTheDetector() = runBlocking {
        var opened = 0L
        val detector = CoroutineDetector.open {
            opened = Thread.currentThread().id
            detector()
        }
        val found = List(8) { async(Dispatchers.Default) { detector.use { it.detect(image, Orientation.UPRIGHT) } } }.awaitAll()
        assertTrue(found.all { it.single().score == 0.9f })
        assertEquals(setOf(opened), model.threads)
        detector.close()
        assertTrue("not closed", model.closed.await(5, TimeUnit.SECONDS))
        assertThrows(CancellationException::class.java) { runBlocking { detector.use { it.labels } } }
        Unit
    }

    @Test
    fun aFlowOfFramesIsAFlowOfDetections() = runBlocking {
        val detector = CoroutineDetector.open(::detector)
        val plain = detector.detections(flowOf(frame, frame, frame)).toList()
        assertEquals(listOf(64 to 48, 64 to 48, 64 to 48), plain.map { it.height to it.width })
        assertTrue(plain.all { it.objects.single().trackId == null })
        val tracked = detector.detections(flowOf(frame, frame, frame), tracks = true).toList()
        assertEquals(listOf(1, 1, 1), tracked.map { it.objects.single().trackId })
        detector.close()
    }

    @Test
    fun aCollectorThatHasEnoughEndsTheFrames() = runBlocking {
        val detector = CoroutineDetector.open(::detector)
        var ended = false
        val endless = flow {
            try {
                while (true) emit(frame)
            } finally {
                ended = true
            }
        }
        detector.detections(endless).first()
        assertTrue(ended)
        assertTrue("ran ahead: ${model.runs}", model.runs <= 3)
        detector.close()
    }

    @Test
    fun whatFailsEndsTheFlowAndNotTheDetector() = runBlocking {
        val detector = CoroutineDetector.open(::detector)
        model.failsAt = 2
        val error = assertThrows(MobileDetException::class.java) {
            runBlocking { detector.detections(flowOf(frame, frame, frame)).toList() }
        }
        assertEquals("the runtime fails on purpose", error.message)
        model.failsAt = Int.MAX_VALUE
        assertEquals(1, detector.detections(flowOf(frame)).toList().size)
        detector.close()
    }

    @Test
    fun aDetectorThatCannotBeOpenedLeavesNoThread() {
        val error = assertThrows(MobileDetException::class.java) {
            runBlocking { CoroutineDetector.open { throw MobileDetException("no bundle") } }
        }
        assertEquals("no bundle", error.message)
        val end = System.nanoTime() + 5_000_000_000
        while (Thread.getAllStackTraces().keys.any { it.name == "mobiledet-detector" && it.isAlive }) {
            assertFalse("a thread is left", System.nanoTime() > end)
            Thread.sleep(10)
        }
    }

    @Test
    fun aPhoneWithoutACameraFailsTheFlow() {
        val error = assertThrows(MobileDetException::class.java) {
            runBlocking { cameraFrames(RuntimeEnvironment.getApplication(), displayDegrees = 0).first() }
        }
        assertEquals("this phone has no camera", error.message)
    }
}
