package dev.mobiledet.core

import com.sun.management.ThreadMXBean
import java.lang.management.ManagementFactory
import java.nio.ByteBuffer
import kotlin.random.Random

private const val WARM_UP = 100
private const val RUNS = 100
private const val NS_PER_MS = 1e6

/** Times one pass and the separate steps on camera frames, in turn: processor time; benchmarks/frames.py runs it. */
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
    val frame = smooth(height, width)
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

/** A ramp with the noise of a camera. */
private fun smooth(height: Int, width: Int): YuvImage {
    val random = Random(0)
    fun plane(rows: Int, columns: Int, level: (Int) -> Int): Plane {
        val bytes = ByteBuffer.allocateDirect(rows * columns)
        for (index in 0 until rows * columns) bytes.put((level(index % columns) + random.nextInt(9)).toByte())
        return Plane(bytes, columns, 1)
    }
    val (u, v) = List(2) { plane((height + 1) / 2, (width + 1) / 2) { 100 + it * 50 / width } }
    return YuvImage(height, width, plane(height, width) { it * 240 / width }, u, v)
}

private class Timed(val run: () -> RgbImage) {
    private val threads = ManagementFactory.getThreadMXBean() as ThreadMXBean
    private val thread = Thread.currentThread().id
    private val durations = LongArray(RUNS)
    private var allocated = 0L

    fun measure(number: Int) {
        val before = threads.getThreadAllocatedBytes(thread)
        val started = threads.currentThreadCpuTime // which a busy machine changes less than the time that passes
        run()
        durations[number] = threads.currentThreadCpuTime - started
        allocated += threads.getThreadAllocatedBytes(thread) - before
    }

    fun median() = durations.sorted()[RUNS / 2] / NS_PER_MS

    fun bytes() = allocated / RUNS
}
