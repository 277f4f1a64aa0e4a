package dev.mobiledet.core

import java.io.Closeable

/** Detections in one image and the time of each step; [height] and [width] are those of the upright image. */
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
    private val preprocessor = Preprocessor(bundle.spec.input)

    public val execution: Execution get() = model.execution

    /** Replays the file's golden cases; throws [MobileDetException] if the device does not reproduce them. */
    public fun golden(): GoldenReport {
        val golden = bundle.golden(file)
        return GoldenGate(bundle.spec, golden.tolerance(execution.actual)).replay(golden.cases) { detectInput(input(it)).detections }
    }

    private fun input(case: GoldenCase): RgbImage {
        val size = bundle.spec.input
        return if (case.isEncoded) Preprocessor(size).prepare(decode(case.content))
        else RgbImage(size.height, size.width, case.content)
    }

    /**
     * Detects in an image of any size, such as a frame of a camera.
     *
     * @param orientation how the image must be turned to be upright.
     * @return boxes in pixels of the upright image (of its crop, if it has one), clipped to it.
     */
    @JvmOverloads
    public fun detect(image: Frame, orientation: Orientation = Orientation.UPRIGHT): TimedDetections {
        val found = detectUnclipped(image, System.nanoTime(), orientation)
        return TimedDetections(preprocessor.placement.visible(found.detections), found.times, found.height, found.width)
    }

    /** As [detect], but boxes may extend beyond the image, into the padding of a letterbox; its decoding began at [startedNs]. */
    internal fun detectUnclipped(
        image: Frame, startedNs: Long, orientation: Orientation = Orientation.UPRIGHT,
    ): TimedDetections {
        val decoded = System.nanoTime()
        val input = preprocessor.prepare(image, orientation)
        val placement = preprocessor.placement
        val (detections, times) = run(input, startedNs, decoded) { placement.toImage(it) }
        return TimedDetections(detections, times, placement.imageHeight, placement.imageWidth)
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
