package dev.mobiledet.core

import com.google.gson.JsonObject
import com.sun.management.ThreadMXBean
import dev.mobiledet.core.agent.ReplayDevice
import java.io.File
import java.lang.management.ManagementFactory
import java.nio.ByteBuffer
import kotlin.math.abs
import kotlin.math.roundToInt
import kotlin.random.Random
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertSame
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class FrameTest {
    @Test
    fun framesBecomeTheInputOfTheVectors() {
        for (case in Vectors.cases("frames")) {
            val frame = frame(case.getAsJsonObject("frame"))
            val orientation = Orientation.ofExif(case.get("orientation").asInt)
            val input = Vectors.input(case, case.get("height").asInt, case.get("width").asInt)
            val expected = Vectors.bytes(case.get("input"))
            assertArrayEquals("$case", expected, Preprocessor(input).prepare(frame, orientation).pixels)
            assertArrayEquals("$case", expected, Preprocessor(input).prepare(orientation.turn(frame.toRgb())).pixels)
        }
    }

    private fun frame(stored: JsonObject): Frame {
        val planes = stored.getAsJsonArray("planes").map { it.asJsonObject }.map {
            val bytes = Vectors.bytes(it.get("base64"))
            // as a camera's buffers, which no array holds
            val buffer = ByteBuffer.allocateDirect(bytes.size).apply { put(bytes) }
            Plane(buffer, it.get("row_stride").asInt, it.get("pixel_stride").asInt)
        }
        val (height, width) = stored.get("height").asInt to stored.get("width").asInt
        val crop = Vectors.ints(stored.get("crop")).let { Crop(it[0], it[1], it[2], it[3]) }
        val format = stored.get("format").asString
        if (format != "yuv") return PackedImage(height, width, planes[0], format.indexOf('r'), 1, format.indexOf('b'), crop)
        val matrix = YuvMatrix.valueOf(stored.get("matrix").asString.uppercase())
        return YuvImage(height, width, planes[0], planes[1], planes[2], matrix, crop)
    }

    @Test
    fun onePassEqualsTheSeparateSteps() {
        val random = Random(3)
        for (trial in 0 until 300) {
            fun upTo(limit: Int) = 1 + random.nextInt(limit)
            val (height, width) = upTo(70) to upTo(70)
            val (cropHeight, cropWidth) = upTo(height) to upTo(width)
            val crop = Crop(random.nextInt(width - cropWidth + 1), random.nextInt(height - cropHeight + 1), cropWidth, cropHeight)
            val frame = random.frame(height, width, YuvMatrix.entries.random(random), crop)
            val input = InputSpec(
                upTo(40), upTo(40), listOf("stretch", "letterbox").random(random), listOf("mean", "bilinear").random(random),
            )
            val orientation = Orientation.entries.random(random)
            val steps = Preprocessor(input).prepare(orientation.turn(frame.toRgb())).pixels
            assertArrayEquals("$crop of $height x $width, $orientation, $input", steps, Preprocessor(input).prepare(frame, orientation).pixels)
        }
    }

    @Test
    fun framesOfOtherSizesAndTurnsFollowEachOther() {
        val random = Random(4)
        val input = InputSpec(32, 40, "letterbox", "mean", padding = "black")
        val kept = Preprocessor(input)
        for ((height, width) in listOf(48 to 64, 64 to 48, 48 to 64, 7 to 90)) {
            for (orientation in listOf(Orientation.UPRIGHT, Orientation.QUARTER_TURN)) {
                for (frame in listOf(random.frame(height, width), random.frame(height, width).toRgb())) {
                    val expected = Preprocessor(input).prepare(frame, orientation).pixels
                    assertArrayEquals(expected, kept.prepare(frame, orientation).pixels)
                }
            }
        }
    }

    @Test
    fun aFrameAllocatesNothing() {
        val frames = listOf(Random(5).frame(480, 640), Random(6).frame(480, 640))
        val threads = ManagementFactory.getThreadMXBean() as ThreadMXBean
        val thread = Thread.currentThread().id
        for (sampling in listOf("mean", "bilinear")) {
            for (orientation in listOf(Orientation.UPRIGHT, Orientation.QUARTER_TURN)) {
                val preprocessor = Preprocessor(InputSpec(320, 320, "letterbox", sampling))
                val input = preprocessor.prepare(frames[0], orientation)
                val before = threads.getThreadAllocatedBytes(thread)
                for (number in 0 until 20) assertSame(input, preprocessor.prepare(frames[number % 2], orientation))
                val perFrame = (threads.getThreadAllocatedBytes(thread) - before) / 20
                assertTrue("$perFrame bytes for each frame", perFrame <= 16)
            }
        }
    }

    @Test
    fun aSessionDetectsInAFrame() {
        val bundle = Bundle.open(File(Vectors.bundles, "good"))
        val file = bundle.select("")
        val model = ReplayDevice(File(Vectors.folder, "recordings.json")).load(File(bundle.root, file.path), bundle.spec, "auto", 1)
        val session = DetectorSession(bundle, file, model) { error("nothing is decoded") }
        val (height, width) = bundle.spec.input.let { it.height to it.width }
        val upright = RgbImage(height, width, bundle.golden(file).cases.first { !it.isEncoded }.content)
        // turned by a quarter, within a larger frame
        val stored = Orientation.THREE_QUARTERS.turn(upright)
        val rowStride = (stored.width + 5) * 3
        val bytes = ByteArray((stored.height + 4) * rowStride)
        for (y in 0 until stored.height) {
            stored.pixels.copyInto(bytes, (y + 3) * rowStride + 2 * 3, y * stored.width * 3, (y + 1) * stored.width * 3)
        }
        val plane = Plane(ByteBuffer.wrap(bytes), rowStride, 3)
        val crop = Crop(2, 3, stored.width, stored.height)
        val frame = PackedImage(stored.height + 4, stored.width + 5, plane, crop = crop)
        val found = session.detect(frame, Orientation.QUARTER_TURN)
        val expected = session.detect(upright)
        assertEquals(height to width, found.height to found.width)
        assertTrue(expected.detections.size > 0)
        assertArrayEquals(expected.detections.boxes, found.detections.boxes, 0f)
        assertArrayEquals(expected.detections.scores, found.detections.scores, 0f)
    }

    @Test
    fun aCopySurvivesItsCamera() {
        val buffers = listOf(40, 12, 12).map { ByteBuffer.wrap(Random(7).nextBytes(it)) }
        val frame = YuvImage(5, 7, Plane(buffers[0], 8, 1), Plane(buffers[1], 4, 1), Plane(buffers[2], 4, 1), crop = Crop(1, 2, 5, 3))
        val pixels = frame.toRgb().pixels
        val copy = frame.copy()
        buffers.forEach { it.array().fill(0) }
        assertArrayEquals(pixels, copy.toRgb().pixels)
        assertEquals(frame.crop, copy.crop)
    }

    @Test
    fun framesThatTheirPlanesDoNotHoldAreRefused() {
        fun plane(size: Int, rowStride: Int, pixelStride: Int = 1) = Plane(ByteBuffer.allocate(size), rowStride, pixelStride)
        YuvImage(4, 6, plane(24, 6), plane(6, 3), plane(6, 3))
        for (wrong in listOf<() -> Frame>(
            { YuvImage(4, 6, plane(23, 6), plane(6, 3), plane(6, 3)) },
            { YuvImage(4, 6, plane(24, 6), plane(5, 3), plane(6, 3)) },
            { YuvImage(4, 6, plane(24, 6), plane(6, 3), plane(12, 6, 2)) },
            { YuvImage(4, 6, plane(24, 6), plane(6, 3), plane(6, 3), crop = Crop(1, 0, 6, 4)) },
            { YuvImage(4, 6, plane(24, 6), plane(6, 3), plane(6, 3), crop = Crop(0, 0, 0, 4)) },
            { PackedImage(2, 2, plane(15, 8, 4), blue = 3) },
            { PackedImage(2, 2, plane(32, 0, 4)) },
        )) {
            assertThrows(IllegalArgumentException::class.java) { wrong() }
        }
    }

    /** Y, Cb, Cr of a colour as JFIF defines them. */
    private fun yuv(r: Int, g: Int, b: Int) = listOf(
        0.299 * r + 0.587 * g + 0.114 * b,
        -0.168736 * r - 0.331264 * g + 0.5 * b + 128,
        0.5 * r - 0.418688 * g - 0.081312 * b + 128,
    ).map { it.roundToInt().coerceIn(0, 255) }

    @Test
    fun coloursComeBack() {
        for (colour in listOf(listOf(255, 0, 0), listOf(0, 255, 0), listOf(0, 0, 255), listOf(255, 255, 255), listOf(0, 0, 0), listOf(90, 140, 200))) {
            val (y, u, v) = yuv(colour[0], colour[1], colour[2]).map { value -> Plane(ByteBuffer.wrap(ByteArray(15) { value.toByte() }), 5, 1) }
            val image = YuvImage(3, 5, y, u, v).toRgb()
            assertEquals(3 to 5, image.height to image.width)
            for (index in image.pixels.indices) {
                val level = image.pixels[index].toInt() and 0xff
                assertTrue("$level in $colour", abs(level - colour[index % 3]) <= 2)
            }
        }
    }
}

/** Noise, with interleaved chroma as phones give it. */
internal fun Random.frame(
    height: Int, width: Int, matrix: YuvMatrix = YuvMatrix.BT601_FULL, crop: Crop = Crop(0, 0, width, height),
): YuvImage {
    val (rows, columns) = (height + 1) / 2 to (width + 1) / 2
    val chroma = ByteBuffer.allocateDirect(rows * columns * 2).put(nextBytes(rows * columns * 2))
    val luma = ByteBuffer.allocateDirect(height * width).put(nextBytes(height * width))
    val (u, v) = listOf(0, 1).map { offset ->
        val from = chroma.duplicate()
        (from as java.nio.Buffer).position(offset)
        Plane(from.slice(), columns * 2, 2)
    }
    return YuvImage(height, width, Plane(luma, width, 1), u, v, matrix, crop)
}
