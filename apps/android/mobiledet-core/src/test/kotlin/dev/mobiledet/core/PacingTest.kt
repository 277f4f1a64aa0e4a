package dev.mobiledet.core

import com.google.gson.JsonElement
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class PacingTest {
    @Test
    fun framesAreChosenAsInTheReference() {
        for (case in Vectors.cases("pacing")) {
            val name = case.get("name").asString
            val settings = PacerSettings(Vectors.numbers(case.get("rates")), case.get("recover_seconds").asDouble)
            val pacer = FramePacer(settings)
            val notices = mutableListOf<Pair<Int, String>>()
            case.getAsJsonArray("frames").map { it.asJsonArray.toList() }.forEachIndexed { place, (time, thermal, finished) ->
                if (finished.asBoolean) pacer.finish()
                val decision = pacer.decide(time.asLong, ThermalLevel.of(if (thermal.isJsonNull) null else thermal.asString))
                assertEquals("$name, frame $place", word(case.get("decisions"), place), decision.name.lowercase())
                assertEquals("$name, frame $place", word(case.get("levels"), place), pacer.level.name.lowercase())
                if (notices.lastOrNull()?.second != pacer.notice) notices += place to pacer.notice
            }
            val expected = case.getAsJsonArray("notices").map { it.asJsonArray.toList() }.map { (place, text) -> place.asInt to text.asString }
            assertEquals(name, expected, notices)
            val counts = case.getAsJsonObject("counts").entrySet().associate { it.key to it.value.asLong }
            assertEquals(name, counts, pacer.counts.mapKeys { it.key.name.lowercase() })
        }
    }

    @Test
    fun settingsHaveBounds() {
        for (rates in listOf(listOf(30.0), listOf(0.0, 0.0, 0.0, 0.0), listOf(30.0, 31.0, 1.0, 1.0), listOf(2000.0, 1.0, 1.0, 1.0))) {
            assertThrows(IllegalArgumentException::class.java) { PacerSettings(rates) }
        }
        for (seconds in listOf(-1.0, Double.NaN, 4000.0)) {
            assertThrows(IllegalArgumentException::class.java) { PacerSettings(recoverSeconds = seconds) }
        }
    }

    private fun word(words: JsonElement, place: Int): String = words.asJsonArray[place].asString
}
