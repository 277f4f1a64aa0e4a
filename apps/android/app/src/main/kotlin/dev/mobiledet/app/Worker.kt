package dev.mobiledet.app

import android.app.Activity
import dev.mobiledet.core.MobileDetException
import java.io.Closeable
import java.util.concurrent.Executors
import java.util.concurrent.RejectedExecutionException

/** One thread for an activity's slow work; results are shown on the main thread. */
internal class Worker(private val activity: Activity, private val showProblem: (String) -> Unit) : Closeable {
    private val executor = Executors.newSingleThreadExecutor()

    /** Runs [work] after earlier work, then [show] with its result on the main thread, unless the activity is destroyed. */
    fun <T> run(work: () -> T, show: (T) -> Unit = {}) {
        try {
            executor.execute {
                try {
                    val result = work()
                    later { show(result) }
                } catch (error: MobileDetException) {
                    later { showProblem(error.message) }
                }
            }
        } catch (_: RejectedExecutionException) { // the activity is closing
        }
    }

    /** Finishes the running work, then runs [last]. */
    fun close(last: () -> Unit) {
        run(last)
        executor.shutdown()
    }

    override fun close() = close {}

    private fun later(show: () -> Unit) = activity.runOnUiThread { if (!activity.isDestroyed) show() }
}
