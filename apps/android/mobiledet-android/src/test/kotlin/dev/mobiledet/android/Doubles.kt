package dev.mobiledet.android

import dev.mobiledet.core.Bundle
import dev.mobiledet.core.DetectorSession
import dev.mobiledet.core.Execution
import dev.mobiledet.core.LoadedModel
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.RawOutputs
import dev.mobiledet.core.RgbImage
import java.io.File

/** A double: LiteRT does not exist for this machine. It gives made-up outputs, whatever the image. */
internal class FixedModel(var rows: List<FloatArray>) : LoadedModel {
    override val execution = Execution("auto", "double", null, 1)
    var threads = mutableSetOf<Long>()
    var isClosed = false
    var problem: String? = null

    override fun setInput(image: RgbImage) = note()

    override fun invoke() {
        note()
        problem?.let { throw MobileDetException(it) }
    }

    /** Each row is y1, x1, y2, x2, class, score. */
    override fun outputs() = RawOutputs(
        FloatArray(rows.size * 4) { rows[it / 4][it % 4] }, FloatArray(rows.size) { rows[it][4] },
        FloatArray(rows.size) { rows[it][5] }, rows.size.toFloat(),
    )

    override fun close() {
        note()
        isClosed = true
    }

    private fun note() {
        threads += Thread.currentThread().id
    }
}

/** A detector of the bundle `good` that runs this model. */
internal fun detector(model: LoadedModel): Detector {
    val bundle = Bundle.open(File(System.getProperty("mobiledet.testdata"), "bundles/good"))
    return Detector(DetectorSession(bundle, bundle.files[0], model) { throw AssertionError("no picture is decoded") })
}
