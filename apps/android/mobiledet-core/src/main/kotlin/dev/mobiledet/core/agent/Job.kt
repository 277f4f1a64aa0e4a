package dev.mobiledet.core.agent

import dev.mobiledet.core.MobileDetException
import java.util.UUID
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

/** A benchmark in its own thread, started immediately; [measure] calls its argument between runs. */
internal class Job(val request: BenchRequest, private val measure: (betweenRuns: () -> Unit) -> BenchmarkSamples) {
    private class Cancelled : Exception()

    private val ended = CountDownLatch(1)

    @Volatile
    private var cancelled = false

    /** The current status. */
    @Volatile
    var info = JobInfo(UUID.randomUUID().toString(), JobStatus.RUNNING)
        private set

    init {
        thread(name = "mobiledet-job", isDaemon = true) { run() }
    }

    /** Waits until the job has ended, at most [seconds]; returns its status. */
    fun wait(seconds: Double): JobInfo {
        ended.await((seconds * 1000).toLong(), TimeUnit.MILLISECONDS)
        return info
    }

    /** Stops the job before its next run. */
    fun cancel() {
        cancelled = true
    }

    private fun run() {
        info = try {
            JobInfo(info.id, JobStatus.DONE, measure { if (cancelled) throw Cancelled() })
        } catch (_: Cancelled) {
            JobInfo(info.id, JobStatus.CANCELLED)
        } catch (refusal: Refusal) {
            JobInfo(info.id, JobStatus.FAILED, error = refusal)
        } catch (error: MobileDetException) {
            JobInfo(info.id, JobStatus.FAILED, error = Refusal(422, "refused", error.message))
        } catch (error: Throwable) { // also out of memory: it must be reported to the host
            val message = "the benchmark failed: ${error.javaClass.simpleName}: ${error.message.orEmpty()}"
            JobInfo(info.id, JobStatus.FAILED, error = Refusal(500, "internal", message))
        }
        ended.countDown()
    }
}
