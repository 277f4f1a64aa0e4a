package dev.mobiledet.core.agent

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonNull
import com.google.gson.JsonObject
import com.google.gson.JsonPrimitive
import dev.mobiledet.core.BenchmarkPlan
import dev.mobiledet.core.ColdStart
import dev.mobiledet.core.DeviceInfo
import dev.mobiledet.core.DeviceState
import dev.mobiledet.core.Execution
import dev.mobiledet.core.Fields
import dev.mobiledet.core.GoldenReport
import dev.mobiledet.core.Json
import dev.mobiledet.core.StageTimes
import dev.mobiledet.core.TimedDetections
import dev.mobiledet.core.TimedRuns

/** The version of apps/PROTOCOL.md that this package implements. */
public const val PROTOCOL: Int = 1

// valid ranges of requests, as in apps/protocol/messages.schema.json
private val KEY_LENGTHS = 1..200
private val THREADS = 0..512
private const val MAX_RUNS = 10_000_000
private val SECONDS = 0.0..86_400.0
private val FPS = 0.0..1000.0

/** Limits of an agent; see apps/PROTOCOL.md. */
public data class Limits(
    val bodyBytes: Long = 256_000_000,
    val bundleBytes: Long = 1L shl 30,
    val sessions: Int = 2,
    val idleSeconds: Int = 600,
    val waitSeconds: Int = 30,
)

/** Request to load a model file; a request with the [key] of an open session gets that session. */
internal data class SessionRequest(
    val key: String,
    val bundle: String,
    val file: String,
    val accelerator: String,
    val threads: Int,
)

/** Request for a benchmark; a request with the [key] of the session's job gets that job. */
internal data class BenchRequest(val key: String, val plan: BenchmarkPlan)

/** Status of a job. */
internal enum class JobStatus { RUNNING, DONE, FAILED, CANCELLED }

/** Results of a benchmark. */
internal class BenchmarkSamples(val timed: TimedRuns, val coldStarts: List<ColdStart>)

/** A benchmark as reported to the host. */
internal class JobInfo(
    val id: String,
    val status: JobStatus,
    val samples: BenchmarkSamples? = null,
    val error: Refusal? = null,
)

/** Parses messages that an agent receives. Throws [IllegalArgumentException] if [content] is not such a message. */
internal object Received {
    fun sessionRequest(content: ByteArray): SessionRequest {
        val fields = Fields(Json.parse(content)).exactly("key", "bundle", "file", "accelerator", "threads")
        return SessionRequest(
            fields.text("key", KEY_LENGTHS), fields.text("bundle"), fields.text("file"), fields.text("accelerator"),
            fields.int("threads", THREADS),
        )
    }

    fun benchRequest(content: ByteArray): BenchRequest {
        val fields = Fields(Json.parse(content)).exactly("key", "plan")
        val plan = fields.fields("plan").exactly(
            "warmup_runs", "warmup_seconds", "warmup_limit_seconds", "runs", "seconds", "fps", "state_seconds",
        )
        return BenchRequest(
            fields.text("key", KEY_LENGTHS),
            BenchmarkPlan(
                warmupRuns = plan.int("warmup_runs", 0..MAX_RUNS),
                warmupSeconds = plan.number("warmup_seconds", SECONDS),
                warmupLimitSeconds = plan.number("warmup_limit_seconds", SECONDS),
                runs = plan.int("runs", 1..MAX_RUNS),
                seconds = plan.number("seconds", SECONDS),
                fps = plan.number("fps", FPS),
                stateSeconds = plan.number("state_seconds", SECONDS),
            ),
        )
    }
}

/** Builds messages that an agent sends, as JSON. */
internal object Sent {
    fun agentInfo(program: String, device: DeviceInfo, accelerators: List<String>, limits: Limits) = message(
        "protocol" to json(PROTOCOL),
        "agent" to json(program),
        "device" to deviceInfo(device),
        "accelerators" to list(accelerators, ::json),
        "limits" to message(
            "body_bytes" to json(limits.bodyBytes),
            "bundle_bytes" to json(limits.bundleBytes),
            "sessions" to json(limits.sessions),
            "idle_seconds" to json(limits.idleSeconds),
            "wait_seconds" to json(limits.waitSeconds),
        ),
    )

    fun deviceState(state: DeviceState) = message(
        "memory_bytes" to json(state.memoryBytes),
        "peak_memory_bytes" to json(state.peakMemoryBytes),
        "temperatures_c" to JsonObject().apply { state.temperaturesC.forEach { (zone, degrees) -> add(zone, json(degrees)) } },
        "thermal_status" to json(state.thermalStatus),
        "load" to json(state.load),
        "foreground" to json(state.foreground),
        "battery" to json(state.battery),
        "power_saving" to json(state.powerSaving),
        "charging" to json(state.charging),
    )

    fun bundleInfo(sha256: String) = message("sha256" to json(sha256))

    fun sessionInfo(id: String, bundle: String, device: DeviceInfo, execution: Execution) = message(
        "id" to json(id),
        "bundle" to json(bundle),
        "device" to deviceInfo(device),
        "execution" to message(
            "requested" to json(execution.requested),
            "actual" to json(execution.actual),
            "delegated_share" to json(execution.delegatedShare),
            "threads" to json(execution.threads),
        ),
    )

    fun goldenReport(report: GoldenReport) = message(
        "cases" to json(report.cases),
        "detections" to json(report.detections),
        "lowest_iou" to json(report.lowestIou),
        "largest_score_difference" to json(report.largestScoreDifference),
    )

    fun found(index: Int, found: TimedDetections) = foundLine(
        index, found.height, found.width,
        list((0 until found.detections.size).map { it * 4 }) { at ->
            list(found.detections.boxes.slice(at until at + 4), ::json)
        },
        list(found.detections.scores.asList(), ::json),
        list(found.detections.labels.asList(), ::json),
        times(found.times), "",
    )

    fun notDecoded(index: Int, problem: String) =
        foundLine(index, 0, 0, JsonArray(), JsonArray(), JsonArray(), JsonNull.INSTANCE, problem)

    fun jobInfo(job: JobInfo) = message(
        "id" to json(job.id),
        "status" to json(job.status.name.lowercase()),
        "samples" to (job.samples?.let(::samples) ?: JsonNull.INSTANCE),
        "error" to (job.error?.let(::error) ?: JsonNull.INSTANCE),
    )

    fun error(refusal: Refusal) = message("error" to json(refusal.message), "code" to json(refusal.code))

    private fun foundLine(
        index: Int, height: Int, width: Int, boxes: JsonArray, scores: JsonArray, labels: JsonArray, times: JsonElement,
        problem: String,
    ) = message(
        "index" to json(index),
        "height" to json(height),
        "width" to json(width),
        "boxes" to boxes,
        "scores" to scores,
        "labels" to labels,
        "times" to times,
        "problem" to json(problem),
    )

    private fun times(times: StageTimes) = message(
        "decode" to json(times.decode),
        "preprocess" to json(times.preprocess),
        "infer" to json(times.infer),
        "postprocess" to json(times.postprocess),
    )

    private fun samples(samples: BenchmarkSamples) = message(
        "infer_ns" to list(samples.timed.inferNs.asList(), ::json),
        "started_ns" to list(samples.timed.startedNs.asList(), ::json),
        "warmup_ns" to list(samples.timed.warmupNs.asList(), ::json),
        "steady" to json(samples.timed.steady),
        "cold_starts" to list(samples.coldStarts) {
            message(
                "load_ns" to json(it.loadNs),
                "first_infer_ns" to json(it.firstInferNs),
                "memory_bytes" to json(it.memoryBytes),
            )
        },
        "states" to list(samples.timed.states, ::deviceState),
        "state_ns" to list(samples.timed.stateNs.asList(), ::json),
    )

    private fun deviceInfo(device: DeviceInfo) = message(
        "name" to json(device.name),
        "model" to json(device.model),
        "os" to json(device.os),
        "cpu" to json(device.cpu),
        "cores" to json(device.cores),
        "runtime" to json(device.runtime),
        "runtime_version" to json(device.runtimeVersion),
    )

    private fun message(vararg fields: Pair<String, JsonElement>) =
        JsonObject().apply { fields.forEach { (name, value) -> add(name, value) } }

    private fun <T> list(values: List<T>, write: (T) -> JsonElement) =
        JsonArray(values.size).apply { values.forEach { add(write(it)) } }

    private fun json(value: Any?): JsonElement = when (value) {
        null -> JsonNull.INSTANCE
        is Boolean -> JsonPrimitive(value)
        is Number -> JsonPrimitive(value)
        else -> JsonPrimitive(value.toString())
    }
}
