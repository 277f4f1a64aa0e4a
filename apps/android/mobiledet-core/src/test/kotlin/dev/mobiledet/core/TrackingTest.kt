package dev.mobiledet.core

import com.google.gson.JsonElement
import com.google.gson.JsonObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class TrackingTest {
    @Test
    fun objectsAreTrackedAndCountedAsOnTheHost() {
        for (case in Vectors.cases("tracking")) {
            val confident = case.get("confident")
            val settings = settings(case.getAsJsonObject("settings"))
            val tracker = if (confident.isJsonArray) {
                Tracker({ Vectors.numbers(confident)[it] }, settings)
            } else {
                Tracker(confident.asDouble, settings)
            }
            val counter = counter(case)
            case.getAsJsonArray("frames").map { it.asJsonObject }.forEachIndexed { place, frame ->
                val name = "${case.get("name").asString}, frame $place"
                val tracked = tracker.update(Vectors.detections(frame))
                counter.update(tracked)
                assertArrayEquals(name, Vectors.ints(frame.get("ids")), tracked.ids)
                assertArrayEquals(name, Vectors.ints(frame.get("sources")), tracked.sources)
                assertArrayEquals(name, Vectors.floats(frame.get("tracked_xyxy")), tracked.objects.boxes, 0f)
                assertArrayEquals(name, Vectors.ints(frame.get("ended")), tracked.ended)
                assertEquals(name, frame.get("left_out").asInt, tracked.leftOut)
                val labels = Vectors.ints(frame.get("labels"))
                assertArrayEquals(name, tracked.sources.map { labels[it] }.toIntArray(), tracked.objects.labels)
                assertEquals(name, tallies(frame.get("lines")), counter.lines.map { listOf(it.toRight, it.toLeft) })
                assertEquals(name, tallies(frame.get("zones")), counter.zones.map { listOf(it.now, it.visitors) })
            }
        }
    }

    @Test
    fun settingsHaveBounds() {
        for (wrong in listOf({ TrackerSettings(weak = -0.1) }, { TrackerSettings(matchIou = 0.0) }, { TrackerSettings(smoothing = 1.0) })) {
            assertThrows(IllegalArgumentException::class.java) { wrong() }
        }
        assertThrows(IllegalArgumentException::class.java) { CountingLine("x", Point(1.0, 1.0), Point(1.0, 1.0)) }
        assertThrows(IllegalArgumentException::class.java) { CountingZone("x", emptyList()) }
    }

    private fun settings(values: JsonObject) = TrackerSettings(
        values.get("weak").asDouble, values.get("match_iou").asDouble, values.get("weak_iou").asDouble,
        values.get("confirm_iou").asDouble, values.get("confirm").asInt, values.get("keep_lost").asInt,
        values.get("smoothing").asDouble, values.get("any_class").asBoolean,
    )

    private fun counter(case: JsonObject) = Counter(
        case.getAsJsonArray("lines").map { it.asJsonObject }.map {
            CountingLine(it.get("name").asString, point(it.get("start")), point(it.get("end")), it.get("margin").asDouble)
        },
        case.getAsJsonArray("zones").map { it.asJsonObject }.map {
            CountingZone(it.get("name").asString, it.getAsJsonArray("corners").map(::point))
        },
        CountedPoint.valueOf(case.get("point").asString.uppercase()),
    )

    private fun point(values: JsonElement): Point = Vectors.numbers(values).let { (x, y) -> Point(x, y) }

    /** Of each line or zone two tallies, by label. */
    private fun tallies(values: JsonElement): List<List<Map<Int, Int>>> = values.asJsonArray.map { pair ->
        pair.asJsonArray.map { tally -> tally.asJsonObject.entrySet().associate { it.key.toInt() to it.value.asInt } }
    }
}
