package dev.mobiledet.core.agent

import com.google.gson.JsonObject
import dev.mobiledet.core.BenchmarkPlan
import dev.mobiledet.core.Bundle
import dev.mobiledet.core.DetectorSession
import dev.mobiledet.core.Device
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.RgbImage
import java.io.Closeable
import java.io.File
import java.util.concurrent.TimeUnit
import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.thread

private const val BUSY_SECONDS = 10L
private const val COLD_STARTS = 3

/**
 * The endpoints of the agent, independent of HTTP. Methods may be called by many threads; one at a time computes.
 *
 * @param folder folder for the bundles.
 * @property limits limits of the agent.
 */
public class Agent(private val device: Device, folder: File, public val limits: Limits = Limits()) : Closeable {
    private val bundles = BundleStore(folder, limits.bundleBytes)
    private val sessions = Sessions(limits, ::release)
    private val starting = Any()
    private val computing = ReentrantLock() // concurrent runs would distort each other's times

    internal fun info(): JsonObject = Sent.agentInfo(device.program, device.info(), device.accelerators, limits)

    internal fun state(): JsonObject = Sent.deviceState(device.state())

    internal fun bundle(sha256: String): JsonObject {
        if (!bundles.contains(sha256)) throw Refusal(404, "unknown_bundle", "no bundle $sha256 is here")
        return Sent.bundleInfo(sha256)
    }

    /** Stores a bundle; also returns whether it is new. */
    internal fun addBundle(sha256: String, receive: (File) -> Unit): Pair<JsonObject, Boolean> {
        val isNew = bundles.add(sha256, receive)
        return Sent.bundleInfo(sha256) to isNew
    }

    internal fun removeBundle(sha256: String) = bundles.remove(sha256)

    internal fun openSession(request: SessionRequest): JsonObject = sessions.open(request) { load(request) }.info

    internal fun closeSession(id: String) = sessions.close(id)

    internal fun golden(id: String): JsonObject {
        val loaded = sessions.get(id)
        return inTurn(loaded) {
            refuseInterrupted()
            loaded.trusted = false
            val report = try {
                loaded.session.golden()
            } catch (error: MobileDetException) {
                throw Refusal(409, "golden_failed", error.message)
            }
            loaded.trusted = true
            Sent.goldenReport(report)
        }
    }

    /** Sends one line for each image of a batch, in order, as soon as it is known. */
    internal fun images(id: String, batch: ByteArray, applyOrientation: Boolean, send: (JsonObject) -> Unit) {
        val loaded = trusted(id)
        val images = Batches.images(batch)
        sendEach(loaded, images.size, send) { index ->
            val range = images[index]
            val started = System.nanoTime()
            val image = try {
                device.decode(batch.copyOfRange(range.first, range.last + 1), applyOrientation)
            } catch (error: MobileDetException) {
                return@sendEach Sent.notDecoded(index, error.message.ifEmpty { "it cannot be decoded" })
            }
            Sent.found(index, loaded.session.detectUnclipped(image, started))
        }
    }

    /** Sends one line for each input of the model, boxes as fractions. */
    internal fun tensor(id: String, batch: ByteArray, send: (JsonObject) -> Unit) {
        val loaded = trusted(id)
        val size = loaded.session.bundle.spec.input
        val count = Batches.tensors(batch.size, size.height, size.width)
        val bytes = batch.size / count
        sendEach(loaded, count, send) { index ->
            val pixels = batch.copyOfRange(index * bytes, (index + 1) * bytes)
            Sent.found(index, loaded.session.detectInput(RgbImage(size.height, size.width, pixels)))
        }
    }

    internal fun bench(id: String, request: BenchRequest): JsonObject {
        val loaded = trusted(id)
        synchronized(starting) {
            loaded.job?.let { job ->
                if (job.request.key == request.key) {
                    if (job.request != request) throw Refusal(409, "key_reused", "this key belongs to another benchmark")
                    return Sent.jobInfo(job.info)
                }
            }
            if (loaded.measures) throw Refusal(409, "busy", "this session is being measured already")
            return Sent.jobInfo(Job(request) { check -> measure(loaded, request.plan, check) }.also { loaded.job = it }.info)
        }
    }

    internal fun job(id: String, waitSeconds: Double): JsonObject =
        Sent.jobInfo(sessions.job(id).wait(minOf(waitSeconds, limits.waitSeconds.toDouble())))

    internal fun cancel(id: String): JsonObject {
        val job = sessions.job(id)
        job.cancel()
        return Sent.jobInfo(job.wait(BUSY_SECONDS.toDouble()))
    }

    /** Closes all sessions and stops all work. */
    override fun close(): Unit = sessions.closeAll()

    private fun load(request: SessionRequest): Loaded {
        val bundle = bundles.open(request.bundle)
        try {
            return inTurn { refusedAs422 { Loaded(request, openModel(bundle, request), device.info()) } }
        } catch (error: Throwable) {
            bundles.close(request.bundle)
            throw error
        }
    }

    private fun openModel(bundle: Bundle, request: SessionRequest): DetectorSession {
        val file = bundle.select(request.file)
        if (file.format != "tflite") throw MobileDetException("${file.path} is ${file.format}; this device runs tflite files")
        if (request.accelerator !in device.accelerators) {
            val known = device.accelerators.joinToString()
            throw MobileDetException("unknown accelerator '${request.accelerator}'; known: $known")
        }
        val model = device.load(File(bundle.root, file.path), bundle.spec, request.accelerator, request.threads)
        return DetectorSession(bundle, file, model) { device.decode(it, applyOrientation = false) }
    }

    private fun measure(loaded: Loaded, plan: BenchmarkPlan, check: () -> Unit): BenchmarkSamples {
        val betweenRuns = {
            check()
            refuseInterrupted()
        }
        computing.lock()
        try {
            val session = loaded.session
            val file = File(session.bundle.root, session.bundle.select(loaded.request.file).path)
            val coldStarts = List(COLD_STARTS) {
                betweenRuns()
                device.coldStart(file, session.bundle.spec, loaded.request.accelerator, loaded.request.threads)
            }
            val timed = session.benchmark(plan, device::state, betweenRuns)
            refuseInterrupted()
            return BenchmarkSamples(timed, coldStarts)
        } finally {
            computing.unlock()
        }
    }

    private fun trusted(id: String): Loaded {
        val loaded = sessions.get(id)
        if (!loaded.trusted) {
            throw Refusal(409, "golden_required", "this session has not passed the golden gate; nothing runs before that")
        }
        return loaded
    }

    /** Sends an answer for each of [count] items; after an error, the error is the last line. */
    private fun sendEach(loaded: Loaded, count: Int, send: (JsonObject) -> Unit, answer: (Int) -> JsonObject) = inTurn(loaded) {
        refuseInterrupted()
        for (index in 0 until count) {
            val line = try {
                if (index > 0) refuseInterrupted()
                answer(index)
            } catch (refusal: Refusal) {
                return@inTurn send(Sent.error(refusal))
            } catch (error: MobileDetException) {
                return@inTurn send(Sent.error(Refusal(422, "refused", error.message)))
            }
            send(line)
        }
    }

    private fun refuseInterrupted() {
        device.interruption()?.let { throw Refusal.of(it) }
    }

    /** Runs [work] while nothing else computes; refuses if the wait is too long or the session is closed meanwhile. */
    private fun <T> inTurn(loaded: Loaded? = null, work: () -> T): T {
        if (!computing.tryLock(BUSY_SECONDS, TimeUnit.SECONDS)) {
            throw Refusal(409, "busy", "the device is busy with other work; try again later")
        }
        try {
            loaded?.let { sessions.get(it.id) }
            return work()
        } finally {
            computing.unlock()
        }
    }

    /** Releases a closed session as soon as nothing computes. */
    private fun release(loaded: Loaded) {
        thread(name = "mobiledet-release", isDaemon = true) {
            loaded.job?.wait(Double.MAX_VALUE / 1e6)
            computing.lock()
            try {
                loaded.session.close()
            } finally {
                computing.unlock()
                bundles.close(loaded.request.bundle)
            }
        }
    }

    private fun <T> refusedAs422(work: () -> T): T = try {
        work()
    } catch (error: MobileDetException) {
        throw Refusal(422, "refused", error.message)
    }
}
