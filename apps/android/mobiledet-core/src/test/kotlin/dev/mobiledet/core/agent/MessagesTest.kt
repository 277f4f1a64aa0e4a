package dev.mobiledet.core.agent

import dev.mobiledet.core.Vectors
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class MessagesTest {
    @Test
    fun requestsAreAcceptedOnlyIfValid() {
        val readers = mapOf<String, (ByteArray) -> Any>(
            "SessionRequest" to Received::sessionRequest, "BenchRequest" to Received::benchRequest,
        )
        val cases = Vectors.cases("messages").filter { it.get("kind").asString in readers }
        for (case in cases) {
            val content = case.get("base64")?.let(Vectors::bytes) ?: case.get("text").asString.toByteArray()
            val read = { readers.getValue(case.get("kind").asString)(content) }
            if (case.get("valid").asBoolean) {
                read()
            } else {
                assertThrows("$case", IllegalArgumentException::class.java) { read() }
            }
        }
        assertEquals(setOf(true, false), cases.map { it.get("valid").asBoolean }.toSet())
    }

    @Test
    fun bodiesAreSplitOrRefused() {
        for (case in Vectors.cases("batches")) {
            if (case.get("mode").asString == "image") {
                val split = { Batches.images(Vectors.bytes(case.get("base64"))).map { it.count() } }
                if (case.get("lengths").isJsonNull) {
                    assertEquals("bad_request", assertThrows(Refusal::class.java) { split() }.code)
                } else {
                    assertEquals(Vectors.ints(case.get("lengths")).toList(), split())
                }
                continue
            }
            val (height, width) = Vectors.ints(case.get("input")).toList()
            val count = { Batches.tensors(case.get("bytes").asInt, height, width) }
            if (case.get("count").isJsonNull) {
                assertEquals("bad_request", assertThrows(Refusal::class.java) { count() }.code)
            } else {
                assertEquals(case.get("count").asInt, count())
            }
        }
    }
}
