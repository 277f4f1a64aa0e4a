package dev.mobiledet.app

import android.app.Activity
import android.os.Bundle
import android.view.WindowManager
import android.widget.TextView
import dev.mobiledet.android.BundleAssets
import dev.mobiledet.android.PhoneDevice
import dev.mobiledet.core.Bundle as DetectorBundle
import dev.mobiledet.core.BenchmarkPlan
import dev.mobiledet.core.DetectorSession
import dev.mobiledet.core.LatencyStats
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.TimedRuns
import java.io.File

/** Measures how fast a model file runs on this phone, after the golden gate; shows nothing of an interrupted benchmark. */
public class BenchmarkActivity : Activity() {
    private val worker = Worker(this) { report.text = it }
    private lateinit var report: TextView
    private lateinit var phone: PhoneDevice

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        phone = PhoneDevice(this, EvalActivity.PROGRAM)
        val screen = Screen(this)
        val choice = Choice.of(intent)
        screen.text("$choice")
        report = screen.text()
        screen.button("Measure") { measure(choice) }
        screen.show()
        measure(choice)
    }

    override fun onResume() {
        super.onResume()
        phone.isForeground = true
    }

    override fun onPause() {
        phone.isForeground = false
        super.onPause()
    }

    override fun onDestroy() {
        worker.close()
        super.onDestroy()
    }

    private fun measure(choice: Choice) {
        report.text = "Measuring for about 15 s; keep the app in front."
        worker.run({ measured(BundleAssets(this).open(choice.asset), choice) }) { report.text = it }
    }

    private fun measured(bundle: DetectorBundle, choice: Choice): String {
        val file = bundle.select(choice.file)
        val path = File(bundle.root, file.path)
        val cold = phone.coldStart(path, bundle.spec, choice.accelerator, 0)
        val model = phone.load(path, bundle.spec, choice.accelerator, 0)
        DetectorSession(bundle, file, model) { phone.decode(it, applyOrientation = false) }.use { session ->
            session.golden()
            val runs = session.benchmark(BenchmarkPlan(), phone::state) {
                phone.interruption()?.let { throw MobileDetException(it.reason) }
            }
            val execution = session.execution
            return listOf(
                "runs on ${execution.actual}, ${execution.threads} threads",
                "first load %.1f ms, first run %.1f ms".format(cold.loadNs / 1e6, cold.firstInferNs / 1e6),
                described(runs),
            ).joinToString("\n")
        }
    }

    private fun described(runs: TimedRuns): String {
        val stats = LatencyStats.of(runs.inferNs)
        val lines = mutableListOf(
            "p50 %.2f ms, p90 %.2f ms, p95 %.2f ms".format(stats.p50Ms, stats.p90Ms, stats.p95Ms),
            "${stats.n} runs, mean %.2f ms, fastest %.2f ms".format(stats.meanMs, stats.minMs),
            "thermal status ${runs.states.first().thermalStatus} before, ${runs.states.last().thermalStatus} after",
        )
        if (!runs.steady) lines += "the warm-up did not become steady"
        if (stats.throttled) lines += "throttled: the last fifth is more than 10 % slower than the first"
        return lines.joinToString("\n")
    }
}
