package dev.mobiledet.core

import com.google.gson.JsonObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class DecodingTest {
    @Test
    fun outputsBecomeBoxesInPixels() {
        for (case in Vectors.cases("detections")) {
            val outputs = RawOutputs(
                Vectors.floats(case.get("boxes")), Vectors.floats(case.get("classes")), Vectors.floats(case.get("scores")),
                Vectors.floats(case.get("count")).single(),
            )
            val ids = Vectors.ints(case.get("category_ids"))
            val placement = Placement.of(
                case.get("height").asInt, case.get("width").asInt, InputSpec(32, 32, "stretch", "mean"),
            )
            val decode = { placement.toImage(outputs.detections(ids.size)) }
            if (!case.get("sound").asBoolean) {
                assertThrows(MobileDetException::class.java) { decode() }
                continue
            }
            val found = decode()
            assertArrayEquals(Vectors.floats(case.get("boxes_xyxy")), found.boxes, 1e-4f)
            assertArrayEquals(Vectors.ints(case.get("labels")), found.labels)
            assertArrayEquals(Vectors.floats(case.get("found_scores")), found.scores, 0f)
            val foundIds = found.labels.map { ids[it] }.toIntArray()
            assertArrayEquals(Vectors.ints(case.get("found_category_ids")), foundIds)
        }
    }

    @Test
    fun theGateAcceptsMatchingDetections() {
        for (case in Vectors.cases("gate")) {
            val name = case.get("name").asString
            val golden = case.getAsJsonArray("expected").map {
                GoldenCase(ByteArray(0), false, Vectors.detections(it.asJsonObject), case.get("cut").asDouble)
            }
            val tolerances = case.getAsJsonObject("tolerance")
            val file = GoldenFile(
                golden, "none", Vectors.tolerance(tolerances.getAsJsonObject("cpu")),
                Vectors.tolerance(tolerances.getAsJsonObject("accelerated")),
            )
            val tolerance = file.tolerance(case.get("accelerator").asString)
            val answers = case.getAsJsonArray("found").map { Vectors.detections(it.asJsonObject) }.iterator()
            val replay = { GoldenGate(spec(case), tolerance).replay(golden) { answers.next() } }
            if (!case.get("opens").asBoolean) {
                val error = assertThrows(name, MobileDetException::class.java) { replay() }
                val problem = case.get("problem").asString
                assertTrue("$name: ${error.message} lacks $problem", problem in error.message)
                continue
            }
            val report = replay()
            val expected = case.getAsJsonObject("report")
            assertEquals(name, expected.get("cases").asInt, report.cases)
            assertEquals(name, expected.get("detections").asInt, report.detections)
            assertEquals(name, expected.get("lowest_iou").asDouble, report.lowestIou, 1e-5)
            assertEquals(name, expected.get("largest_score_difference").asDouble, report.largestScoreDifference, 1e-5)
        }
    }

    private fun spec(case: JsonObject): ModelSpec {
        val nms = case.getAsJsonObject("nms")
        val labels = case.getAsJsonArray("labels").map { it.asString }
        return ModelSpec(
            "gate", "none", "none", InputSpec(32, 32, "stretch", "mean"), labels, labels.indices.toList(),
            NmsSpec(nms.get("iou").asDouble, nms.get("score").asDouble, nms.get("top_k").asInt, nms.get("max_detections").asInt),
        )
    }
}
