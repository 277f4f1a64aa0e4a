package dev.mobiledet.core

import kotlin.math.abs
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class LatencyTest {
    @Test
    fun statisticsEqualTheHost() {
        for (case in Vectors.cases("latency")) {
            val samples = case.getAsJsonArray("samples_ns").map { it.asLong }.toLongArray()
            val stats = LatencyStats.of(samples)
            assertEquals(case.get("n").asInt, stats.n)
            assertEquals(case.get("name").asString, case.get("throttled").asBoolean, stats.throttled)
            assertEquals(case.get("p99_ms").isJsonNull, stats.p99Ms == null)
            val named = mapOf(
                "mean_ms" to stats.meanMs, "std_ms" to stats.stdMs, "min_ms" to stats.minMs, "p50_ms" to stats.p50Ms,
                "p90_ms" to stats.p90Ms, "p95_ms" to stats.p95Ms, "p99_ms" to stats.p99Ms,
            )
            for ((name, value) in named) {
                if (value == null) continue
                val expected = case.get(name).asDouble
                assertEquals("${case.get("name")} $name", expected, value, 1e-9 * abs(expected) + 1e-12)
            }
        }
        assertThrows(IllegalArgumentException::class.java) { LatencyStats.of(LongArray(0)) }
    }

    @Test
    fun aWarmUpIsSteadyAsOnTheHost() {
        for (case in Vectors.cases("steady")) {
            val runs = case.getAsJsonArray("infer_ns").map { it.asLong }
            assertEquals("$case", case.get("steady").asBoolean, Benchmark.isSteady(runs, case.get("warmup_runs").asInt))
        }
    }

    /** A clock that only moves when something takes its time. */
    private class Clock {
        var now = 1_000L
        var states = 0
        var prepared = 0

        fun workload(runNs: (Int) -> Long): Workload {
            var run = 0
            return Workload(
                prepare = { prepared++; now += 100 },
                invoke = { now += runNs(run++) },
                readState = { now += 10; DeviceState(load = (states++).toDouble()) },
                clockNs = { now },
                sleepNs = { now += it },
            )
        }
    }

    private val short = BenchmarkPlan(3, 0.0, 0.0, 5, 0.0, 0.0, 0.0)

    @Test
    fun bothRunsAndSecondsAreReached() {
        val byRuns = Benchmark(Clock().workload { 1_000_000 }, short).run()
        assertEquals(5, byRuns.inferNs.size)
        assertEquals(3, byRuns.warmupNs.size)
        assertTrue(byRuns.inferNs.all { it == 1_000_000L })
        assertEquals(0L, byRuns.startedNs[0])
        assertEquals(1_000_100L, byRuns.startedNs[1])
        assertEquals(2, byRuns.states.size)
        assertTrue(byRuns.stateNs[0] < 0)
        val bySeconds = Benchmark(Clock().workload { 100_000_000 }, short.copy(seconds = 2.0)).run()
        assertEquals(20, bySeconds.inferNs.size)
    }

    @Test
    fun theWarmUpGoesOnUntilItIsSteady() {
        val plan = short.copy(warmupRuns = 4, warmupLimitSeconds = 100.0)
        val settles = Benchmark(Clock().workload { if (it < 10) 2_000_000_000L / (it + 1) else 100_000_000L }, plan).run()
        assertTrue(settles.steady)
        assertEquals(14, settles.warmupNs.size)
        val restless = Benchmark(Clock().workload { 100_000_000L + 40_000_000L * it }, plan.copy(warmupLimitSeconds = 1.0)).run()
        assertTrue(!restless.steady)
    }

    @Test
    fun aPacedRunWaitsForItsImageAndSkipsMissedOnes() {
        val second = 1_000_000_000L
        val plan = short.copy(fps = 10.0, runs = 6)
        // the second run takes two and a half images
        val timed = Benchmark(Clock().workload { if (it == 4) second / 4 else second / 100 }, plan).run()
        val images = timed.startedNs.map { Math.round(it / 1e8) }
        assertEquals(listOf(0L, 1, 4, 5, 6, 7), images)
    }

    @Test
    fun statesAreReadDuringTheRuns() {
        val timed = Benchmark(Clock().workload { 100_000_000 }, short.copy(seconds = 3.0, stateSeconds = 1.0)).run()
        assertEquals(4, timed.states.size)
        assertEquals(timed.states.size, timed.stateNs.size)
    }
}
