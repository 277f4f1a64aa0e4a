package dev.mobiledet.core

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max

private const val STEADY_RATIO = 1.05 // largest ratio between the medians of the latest runs and of those before them
private const val SECOND_NS = 1e9

/** How long to measure: until both runs and seconds are reached. See apps/PROTOCOL.md. */
public data class BenchmarkPlan(
    val warmupRuns: Int = 10,
    val warmupSeconds: Double = 1.0,
    val warmupLimitSeconds: Double = 10.0,
    val runs: Int = 50,
    val seconds: Double = 10.0,
    val fps: Double = 0.0,
    val stateSeconds: Double = 5.0,
)

/** State of a device at one moment; null or empty where it is unknown. */
public data class DeviceState(
    val memoryBytes: Long? = null,
    val peakMemoryBytes: Long? = null,
    val temperaturesC: Map<String, Double> = emptyMap(),
    val thermalStatus: String? = null,
    val load: Double? = null,
    val foreground: Boolean? = null,
    val battery: Double? = null,
    val powerSaving: Boolean? = null,
    val charging: Boolean? = null,
)

/** First load and first run of a model file in a new process; [memoryBytes] is the memory that the load added. */
public data class ColdStart(val loadNs: Long, val firstInferNs: Long, val memoryBytes: Long?)

/** Raw samples of warm-up and timed runs; times of starts and states count from the start of the first timed run. */
public class TimedRuns(
    public val inferNs: LongArray,
    public val startedNs: LongArray,
    public val warmupNs: LongArray,
    public val steady: Boolean,
    public val states: List<DeviceState>,
    public val stateNs: LongArray,
)

/** What is measured: [prepare] sets the input and is not timed; [betweenRuns] may throw to stop the benchmark. */
public class Workload(
    public val prepare: () -> Unit,
    public val invoke: () -> Unit,
    public val readState: () -> DeviceState,
    public val betweenRuns: () -> Unit = {},
    public val clockNs: () -> Long = System::nanoTime,
    public val sleepNs: (Long) -> Unit = { Thread.sleep(it / 1_000_000, (it % 1_000_000).toInt()) },
)

/** Warms up and times a loaded model file according to a plan, like `mobiledet/devices/timing.py`. */
public class Benchmark(private val workload: Workload, private val plan: BenchmarkPlan) {
    /** Runs the benchmark; blocks until it is done. */
    public fun run(): TimedRuns {
        val warmup = Runs()
        while (!(reached(warmup, plan.warmupRuns, plan.warmupSeconds) && warm(warmup))) warmup.add()
        val steady = plan.warmupLimitSeconds == 0.0 || isSteady(warmup.inferNs, plan.warmupRuns)

        val states = ArrayList<DeviceState>()
        val stateTimes = ArrayList<Long>()
        val sampleState = {
            stateTimes += workload.clockNs()
            states += workload.readState()
        }
        sampleState()
        val timed = Runs()
        while (!reached(timed, plan.runs, plan.seconds)) {
            if (plan.stateSeconds > 0 && workload.clockNs() - stateTimes.last() >= plan.stateSeconds * SECOND_NS) sampleState()
            timed.add()
        }
        sampleState()
        return TimedRuns(
            inferNs = timed.inferNs.toLongArray(),
            startedNs = LongArray(timed.startedNs.size) { timed.startedNs[it] - timed.originNs },
            warmupNs = warmup.inferNs.toLongArray(),
            steady = steady,
            states = states,
            stateNs = LongArray(stateTimes.size) { stateTimes[it] - timed.originNs },
        )
    }

    private fun reached(runs: Runs, least: Int, seconds: Double) =
        runs.inferNs.size >= least && runs.spentNs >= seconds * SECOND_NS

    private fun warm(warmup: Runs) =
        warmup.spentNs >= plan.warmupLimitSeconds * SECOND_NS || isSteady(warmup.inferNs, plan.warmupRuns)

    /** Runs of the file, at the rate of a camera or without pause. */
    private inner class Runs {
        val inferNs = ArrayList<Long>()
        val startedNs = ArrayList<Long>()
        private val beganNs = workload.clockNs()
        var originNs = beganNs
            private set
        val spentNs get() = workload.clockNs() - beganNs

        fun add() {
            workload.betweenRuns()
            workload.prepare()
            if (plan.fps > 0) waitForImage()
            val started = workload.clockNs()
            workload.invoke()
            inferNs += workload.clockNs() - started
            startedNs += started
            if (plan.fps == 0.0) originNs = startedNs[0]
        }

        /** Waits for the next image of the camera; images that arrived while the device was busy are skipped. */
        private fun waitForImage() {
            val now = workload.clockNs()
            if (startedNs.isEmpty()) {
                originNs = now
                return
            }
            val interval = SECOND_NS / plan.fps
            val last = floor((startedNs.last() - originNs) / interval)
            val due = originNs + max(last + 1, ceil((now - originNs) / interval)) * interval
            while (true) {
                val left = due - workload.clockNs()
                if (left <= 0) return
                workload.sleepNs(ceil(left).toLong())
            }
        }
    }

    public companion object {
        /** Whether the medians of the latest runs and of those before (half of [warmupRuns] each) are within 5 %. */
        @JvmStatic
        public fun isSteady(inferNs: List<Long>, warmupRuns: Int): Boolean {
            val count = max(1, (warmupRuns + 1) / 2)
            if (inferNs.size < 2 * count) return false
            val latest = median(inferNs.takeLast(count))
            val before = median(inferNs.takeLast(2 * count).take(count))
            return max(latest, before) <= STEADY_RATIO * minOf(latest, before)
        }

        private fun median(values: List<Long>): Double {
            val sorted = values.sorted()
            val middle = sorted.size / 2
            return if (sorted.size % 2 == 1) sorted[middle].toDouble() else (sorted[middle - 1] + sorted[middle]) / 2.0
        }
    }
}
