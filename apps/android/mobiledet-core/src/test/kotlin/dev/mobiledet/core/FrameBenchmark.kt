package dev.mobiledet.core

import com.sun.management.ThreadMXBean
import java.lang.management.ManagementFactory
import kotlin.random.Random

private const val WARM_UP = 300
private const val RUNS = 300
private const val NS_PER_MS = 1e6

/** Times one pass and the separate steps on camera frames, in turn; benchmarks/frames.py runs it. */
public fun main() {
    println("camera      turn input     rule       steps ms pass ms  ratio  steps bytes  pass bytes")
    for ((height, width, size) in listOf(Triple(480, 640, 320), Triple(480, 640, 160), Triple(720, 1280, 320))) {
        for (rule in listOf("stretch", "letterbox")) {
            for (orientation in listOf(Orientation.UPRIGHT, Orientation.QUARTER_TURN)) {
                measure(height, width, orientation, InputSpec(size, size, rule, "mean"))
            }
        }
    }
}

private fun measure(height: Int, width: Int, orientation: Orientation, input: InputSpec) {
    val frame = Random(0).frame(height, width)
    val preprocessor = Preprocessor(input)
    val steps = Timed { Preprocessor(input).prepare(orientation.turn(frame.toRgb())) }
    val pass = Timed { preprocessor.prepare(frame, orientation) }
    check(steps.run().pixels.contentEquals(pass.run().pixels))
    for (timed in listOf(steps, pass)) repeat(WARM_UP) { timed.run() }
    repeat(RUNS) { run -> for (timed in listOf(steps, pass)) timed.measure(run) }
    val turn = if (orientation == Orientation.UPRIGHT) 0 else 90
    println(
        "%-11s %4d %-9s %-10s %8.2f %7.2f %6.1f %12d %11d".format(
            "$width x $height", turn, "${input.width} x ${input.height}", input.resize,
            steps.median(), pass.median(), steps.median() / pass.median(), steps.bytes(), pass.bytes(),
        ),
    )
}

private class Timed(val run: () -> RgbImage) {
    private val threads = ManagementFactory.getThreadMXBean() as ThreadMXBean
    private val thread = Thread.currentThread().id
    private val durations = LongArray(RUNS)
    private var allocated = 0L

    fun measure(number: Int) {
        val before = threads.getThreadAllocatedBytes(thread)
        val started = System.nanoTime()
        run()
        durations[number] = System.nanoTime() - started
        allocated += threads.getThreadAllocatedBytes(thread) - before
    }

    fun median() = durations.sorted()[RUNS / 2] / NS_PER_MS

    fun bytes() = allocated / RUNS
}
