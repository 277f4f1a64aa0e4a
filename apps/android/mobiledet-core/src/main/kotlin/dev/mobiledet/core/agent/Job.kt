package dev.mobiledet.core.agent

import dev.mobiledet.core.MobileDetException
import java.util.UUID
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

/** A benchmark in a thread of its own, started at once; [measure] calls its argument between two runs. */
internal class Job(val request: BenchRequest, private val measure: (betweenRuns: () -> Unit) -> BenchmarkSamples) {
    private class Cancelled : Exception()

    private val ended = CountDownLatch(1)

    @Volatile
    private var cancelled = false

    /** How it stands. */
    @Volatile
    var info = JobInfo(UUID.randomUUID().toString(), JobStatus.RUNNING)
        private set

    init {
        thread(name = "mobiledet-job", isDaemon = true) { run() }
    }

    /** How it stands when it has ended, or after so long. */
    fun wait(seconds: Double): JobInfo {
        ended.await((seconds * 1000).toLong(), TimeUnit.MILLISECONDS)
        return info
    }

    /** Has it end before its next run. */
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
        } catch (error: Throwable) { // also out of memory: the host must learn of it
            val message = "the benchmark failed: ${error.javaClass.simpleName}: ${error.message.orEmpty()}"
            JobInfo(info.id, JobStatus.FAILED, error = Refusal(500, "internal", message))
        }
        ended.countDown()
    }
}
