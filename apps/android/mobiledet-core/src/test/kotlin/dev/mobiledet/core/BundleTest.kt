package dev.mobiledet.core

import com.google.gson.JsonObject
import java.io.File
import javax.imageio.ImageIO
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
    fun validBundlesOpen() {
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
            val thresholds = case.getAsJsonArray("thresholds").map { if (it.isJsonNull) null else Vectors.numbers(it) }
            assertEquals(thresholds, bundle.files.map { it.thresholds })
            assertEquals(texts(case.getAsJsonObject("recommended")), bundle.recommended)
            assertEquals(bundle.recommended["cpu"], bundle.select().path)
            val golden = case.getAsJsonObject("golden")
            assertEquals(golden.keySet(), bundle.files.map { it.path }.toSet())
            for (file in bundle.files) assertGolden(golden.getAsJsonObject(file.path), bundle, bundle.golden(file))
            val first = Vectors.numbers(case.get("first_pixels")).map { it.toInt().toByte() }
            assertEquals(first, bundle.golden(bundle.files[0]).cases[0].content.take(first.size))
        }
    }

    @Test
    fun filesAreRecommendedAsOnTheHost() {
        for (case in Vectors.cases("recommended")) {
            val files = case.getAsJsonArray("files").map { it.asJsonObject }.map { file ->
                val (path, format, precision, face) = listOf("path", "format", "precision", "face").map { file.get(it).asString }
                ModelFile(path, format, precision, 0, face = face)
            }
            val listing = JsonObject().apply { add("recommended", case.get("stored")) }
            assertEquals(case.get("name").asString, texts(case.getAsJsonObject("recommended")), Recommended.read(Fields(listing), files))
        }
    }

    @Test
    fun acceleratorsHaveRuntimes() {
        for (case in Vectors.cases("accelerators")) {
            assertEquals(case.get("runtime").asString, Recommended.runtime(case.get("accelerator").asString))
        }
    }

    private fun texts(values: JsonObject) = values.entrySet().associate { it.key to it.value.asString }

    @Test
    fun whatIsShownFollowsTheThresholdsUnlessAScoreIsGiven() {
        for (case in Vectors.cases("shown")) {
            val thresholds = case.get("thresholds").takeIf { !it.isJsonNull }?.let { Vectors.numbers(it) }
            val least = case.get("least").takeIf { !it.isJsonNull }?.asFloat
            val file = ModelFile("model.tflite", "tflite", "float32", 0, thresholds)
            val scores = Vectors.floats(case.get("scores"))
            val labels = Vectors.ints(case.get("labels"))
            assertEquals(Vectors.ints(case.get("shown")).toList(), scores.indices.filter { file.shows(labels[it], scores[it], least) })
        }
    }

    private fun assertGolden(wanted: JsonObject, bundle: Bundle, golden: GoldenFile) {
        assertEquals(wanted.get("runtime").asString, golden.runtime)
        val tolerances = wanted.getAsJsonObject("tolerance")
        assertEquals(Vectors.tolerance(tolerances.getAsJsonObject("cpu")), golden.cpu)
        assertEquals(Vectors.tolerance(tolerances.getAsJsonObject("accelerated")), golden.accelerated)
        val cases = wanted.getAsJsonArray("cases").map { it.asJsonObject }
        assertEquals(cases.size, golden.cases.size)
        for ((case, actual) in cases.zip(golden.cases)) {
            assertEquals(case.get("encoded").asBoolean, actual.isEncoded)
            assertEquals(case.get("image_sha256").asString, Checksum.of(pixels(bundle.spec.input, actual)))
            assertArrayEquals(Vectors.floats(case.get("boxes_xyxy")), actual.expected.boxes, 1e-6f)
            assertArrayEquals(Vectors.ints(case.get("classes")), actual.expected.labels)
            assertArrayEquals(Vectors.floats(case.get("scores")), actual.expected.scores, 1e-6f)
            assertEquals(case.get("cut").asDouble, actual.cut, 1e-9)
        }
    }

    /** What the model is given, decoded by Java. */
    private fun pixels(size: InputSpec, case: GoldenCase): ByteArray {
        if (!case.isEncoded) return case.content
        val picture = ImageIO.read(case.content.inputStream())
        val argb = picture.getRGB(0, 0, picture.width, picture.height, null, 0, picture.width)
        val pixels = ByteArray(argb.size * 3) { (argb[it / 3] shr (16 - 8 * (it % 3))).toByte() }
        return Preprocessor(size).prepare(RgbImage(picture.height, picture.width, pixels)).pixels
    }

    @Test
    fun invalidBundlesAreRefusedAndLeaveNothing() {
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
    fun damagedJsonIsReported() {
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
    fun theCallerSetsTheLimit() {
        val folder = File(temporary.root, "b")
        val error = assertThrows(MobileDetException::class.java) {
            Bundle.unpack(File(Vectors.bundles, "good.zip"), folder, maxBytes = 5_000)
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
    fun listsOfChecksumsAreReadStrictly() {
        for (case in Vectors.cases("sums")) {
            val content = case.get("text").asString.toByteArray()
            if (case.get("sums").isJsonNull) {
                assertThrows(case.toString(), IllegalArgumentException::class.java) { ChecksumList.parse(content) }
                continue
            }
            val expected = case.getAsJsonObject("sums").entrySet().associate { it.key to it.value.asString }
            assertEquals(expected, ChecksumList.parse(content))
        }
        assertThrows(IllegalArgumentException::class.java) { ChecksumList.parse(ByteArray(70) { -1 }) }
    }

    @Test
    fun goldenFilesAreReadStrictly() {
        val good = Bundle.open(File(Vectors.bundles, "good"))
        val folder = File(temporary.root, "golden")
        File(good.root, "golden").copyRecursively(folder)
        for (case in Vectors.cases("golden")) {
            File(folder, "golden.json").writeText(case.get("text").asString)
            val read = { GoldenReader(folder, good.spec).read(good.files.map { it.path }) }
            if (case.get("valid").asBoolean) assertEquals(2, read().size)
            else assertThrows(case.get("problem").asString, IllegalArgumentException::class.java) { read() }
        }
    }
}
