package dev.mobiledet.core

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class BundleTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun open(file: File): Bundle =
        if (file.isDirectory) Bundle.open(file) else Bundle.unpack(file, File(temporary.root, "opened-${file.name}"))

    @Test
    fun soundBundlesOpen() {
        for (case in Vectors.cases("bundles").filter { it.get("opens").asBoolean }) {
            val bundle = open(File(Vectors.bundles, case.get("file").asString))
            assertEquals(case.get("sha256").asString, bundle.sha256)
            assertEquals(case.get("name").asString, bundle.spec.name)
            assertEquals(Vectors.ints(case.get("input")).toList(), listOf(bundle.spec.input.height, bundle.spec.input.width))
            assertEquals(case.getAsJsonArray("labels").map { it.asString }, bundle.spec.labels)
            assertEquals(Vectors.ints(case.get("category_ids")).toList(), bundle.spec.categoryIds)
            val nms = case.getAsJsonObject("nms")
            val expected = NmsSpec(
                nms.get("iou").asDouble, nms.get("score").asDouble, nms.get("top_k").asInt, nms.get("max_detections").asInt,
            )
            assertEquals(expected, bundle.spec.nms)
            for ((file, described) in bundle.files.zip(case.getAsJsonArray("files").map { it.asJsonObject })) {
                assertEquals(described.get("path").asString, file.path)
                assertEquals(described.get("format").asString, file.format)
                assertEquals(described.get("precision").asString, file.precision)
                assertEquals(described.get("bytes").asLong, file.bytes)
            }
            for ((precision, tolerance) in case.getAsJsonObject("tolerances").entrySet()) {
                val values = tolerance.asJsonObject
                assertEquals(Tolerance(values.get("iou").asDouble, values.get("score").asDouble), bundle.goldenTolerance(precision))
            }
            val golden = bundle.golden()
            assertEquals(case.getAsJsonArray("golden").size(), golden.size)
            for ((actual, wanted) in golden.zip(case.getAsJsonArray("golden").map { it.asJsonObject })) {
                assertEquals(wanted.get("image_sha256").asString, Checksum.of(actual.image.pixels))
                val boxes = actual.expected.boxes.toList().chunked(4).flatMap { (x1, y1, x2, y2) -> listOf(y1, x1, y2, x2) }
                assertArrayEquals(Vectors.floats(wanted.get("boxes")), boxes.toFloatArray(), 1e-6f)
                assertArrayEquals(Vectors.ints(wanted.get("classes")), actual.expected.labels)
                assertArrayEquals(Vectors.floats(wanted.get("scores")), actual.expected.scores, 1e-6f)
            }
            val first = Vectors.numbers(case.get("first_pixels")).map { it.toInt().toByte() }
            assertEquals(first, golden[0].image.pixels.take(first.size))
        }
    }

    @Test
    fun othersAreRefusedAndLeaveNothing() {
        val refused = Vectors.cases("bundles").filter { !it.get("opens").asBoolean }
        for (case in refused) {
            val file = File(Vectors.bundles, case.get("file").asString)
            val error = assertThrows(file.name, MobileDetException::class.java) { open(file) }
            assertTrue("${file.name}: ${error.message}", case.get("mentions").asString in error.message)
            assertFalse(error.message, '\n' in error.message)
        }
        assertEquals(emptyList<String>(), temporary.root.list()!!.toList())
        assertFalse(File(temporary.root.parentFile, "escaped").exists())
        assertTrue(refused.size > 20)
    }

    /** Whatever byte of a zip is changed: the same bundle, or one line that says no; never another exception or file. */
    @Test
    fun aDamagedZipDoesNoHarm() {
        val sound = File(Vectors.bundles, "deflated.zip").readBytes()
        val expected = Bundle.open(File(Vectors.bundles, "good")).sha256
        val zip = File(temporary.root, "damaged.zip")
        val folder = File(temporary.root, "opened")
        var refused = 0
        for (at in sound.indices step 2) {
            zip.writeBytes(sound.copyOf().also { it[at] = (it[at].toInt() xor if (at % 4 == 0) 0xff else 1).toByte() })
            try {
                assertEquals(expected, Bundle.unpack(zip, folder).sha256)
            } catch (_: MobileDetException) {
                refused++
            }
            folder.deleteRecursively()
            assertEquals(listOf("damaged.zip"), temporary.root.list()!!.toList())
        }
        assertTrue("$refused of ${sound.size / 2}", refused > sound.size / 3)
    }

    @Test
    fun damagedJsonIsToldAsSuch() {
        val sound = File(Vectors.bundles, "good/bundle.json").readBytes()
        for (at in sound.indices) {
            for (value in listOf(0, '"'.code, '{'.code, '9'.code, 0xff)) {
                try {
                    ModelSpec.read(Json.parse(sound.copyOf().also { it[at] = value.toByte() }), "damaged")
                } catch (_: IllegalArgumentException) { // no JSON
                } catch (_: MobileDetException) { // no description of a model
                }
            }
        }
    }

    @Test
    fun theLimitIsThatOfTheCaller() {
        val folder = File(temporary.root, "b")
        val error = assertThrows(MobileDetException::class.java) {
            Bundle.unpack(File(Vectors.bundles, "good.zip"), folder, mostBytes = 5_000)
        }
        assertTrue(error.message, "more than 5000 bytes" in error.message)
    }

    @Test
    fun filesAreSelectedByNameOrPrecision() {
        val bundle = Bundle.open(File(Vectors.bundles, "good"))
        assertEquals("model.float32.tflite", bundle.select().path)
        assertEquals("model.float32.tflite", bundle.select("float32").path)
        assertEquals("coreml", bundle.select("model.float16.mlpackage").format)
        val error = assertThrows(MobileDetException::class.java) { bundle.select("int8") }
        assertEquals("good holds no int8; it holds model.float32.tflite, model.float16.mlpackage", error.message)
    }

    @Test
    fun aFolderThatIsMissingOrEmpty() {
        assertThrows(MobileDetException::class.java) { Bundle.open(File(temporary.root, "absent")) }
        assertThrows(MobileDetException::class.java) { Bundle.open(temporary.root) }
        assertThrows(MobileDetException::class.java) { Bundle.unpack(File(temporary.root, "absent"), File(temporary.root, "x")) }
    }

    @Test
    fun checksumsAreThoseOfPython() {
        for (case in Vectors.cases("checksums")) {
            val text = case.get("text").asString
            assertEquals(text, case.get("sha256").asString, Checksum.ofListing(Json.parse(text.toByteArray()).asJsonObject))
        }
    }
}
