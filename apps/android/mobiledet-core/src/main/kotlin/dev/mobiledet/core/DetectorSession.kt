package dev.mobiledet.core

import java.io.Closeable

/** Detections in one image and the time of each step; [height] and [width] are those of the decoded image. */
public class TimedDetections(
    public val detections: Detections,
    public val times: StageTimes,
    public val height: Int,
    public val width: Int,
)

/** A loaded model file of a bundle: from images to detections; [decode] reads image files. Not thread-safe. */
public class DetectorSession(
    public val bundle: Bundle,
    public val file: ModelFile,
    private val model: LoadedModel,
    private val decode: (ByteArray) -> RgbImage,
) : Closeable {
    public val execution: Execution get() = model.execution

    /** Replays the file's golden cases; throws [MobileDetException] if the device does not reproduce them. */
    public fun golden(): GoldenReport {
        val golden = bundle.golden(file)
        return GoldenGate(bundle.spec, golden.tolerance(execution.actual)).replay(golden.cases) { detectInput(input(it)).detections }
    }

    private fun input(case: GoldenCase): RgbImage {
        val size = bundle.spec.input
        return if (case.isEncoded) Resize.fit(decode(case.content), size)
        else RgbImage(size.height, size.width, case.content)
    }

    /** Detects in an image of any size; [decodeStartedNs] is when its decoding began. Boxes are in its pixels, clipped to it. */
    public fun detect(image: RgbImage, decodeStartedNs: Long = System.nanoTime()): TimedDetections {
        val found = detectUnclipped(image, decodeStartedNs)
        val visible = Placement.of(image.height, image.width, bundle.spec.input).visible(found.detections)
        return TimedDetections(visible, found.times, found.height, found.width)
    }

    /** As [detect], but boxes may extend beyond the image, into the padding of a letterbox. */
    internal fun detectUnclipped(image: RgbImage, decodeStartedNs: Long): TimedDetections {
        val decoded = System.nanoTime()
        val placement = Placement.of(image.height, image.width, bundle.spec.input)
        val input = Resize.fit(image, bundle.spec.input)
        val (detections, times) = run(input, decodeStartedNs, decoded) { placement.toImage(it) }
        return TimedDetections(detections, times, image.height, image.width)
    }

    /** Detects in an image of the model's size; boxes are fractions of it. */
    public fun detectInput(image: RgbImage): TimedDetections {
        val started = System.nanoTime()
        val (fractions, times) = run(image, started, started) { it }
        return TimedDetections(fractions, times, 1, 1)
    }

    /** Measures on a golden input; [betweenRuns] may throw to stop the benchmark. */
    public fun benchmark(plan: BenchmarkPlan, readState: () -> DeviceState, betweenRuns: () -> Unit): TimedRuns {
        val image = input(bundle.golden(file).cases.first())
        return Benchmark(Workload({ model.setInput(image) }, model::invoke, readState, betweenRuns), plan).run()
    }

    override fun close(): Unit = model.close()

    private fun run(
        input: RgbImage, startedNs: Long, decodedNs: Long, place: (Detections) -> Detections,
    ): Pair<Detections, StageTimes> {
        model.setInput(input)
        val prepared = System.nanoTime()
        model.invoke()
        val inferred = System.nanoTime()
        val detections = place(model.outputs().detections(bundle.spec.labels.size))
        val finished = System.nanoTime()
        val times = StageTimes(decodedNs - startedNs, prepared - decodedNs, inferred - prepared, finished - inferred)
        return detections to times
    }
}
