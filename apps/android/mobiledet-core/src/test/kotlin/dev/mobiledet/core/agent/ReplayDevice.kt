package dev.mobiledet.core.agent

import dev.mobiledet.core.Checksum
import dev.mobiledet.core.ColdStart
import dev.mobiledet.core.Device
import dev.mobiledet.core.DeviceInfo
import dev.mobiledet.core.DeviceState
import dev.mobiledet.core.Execution
import dev.mobiledet.core.Exif
import dev.mobiledet.core.Interruption
import dev.mobiledet.core.Json
import dev.mobiledet.core.LoadedModel
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.ModelSpec
import dev.mobiledet.core.RawOutputs
import dev.mobiledet.core.RgbImage
import dev.mobiledet.core.Vectors
import java.io.File
import java.io.IOException
import javax.imageio.ImageIO

/**
 * A double: stands for a phone where LiteRT cannot run. It gives recorded outputs for inputs that it knows and fails on
 * others; pictures are decoded by Java.
 *
 * @param recordings a file like apps/testdata/recordings.json.
 */
internal class ReplayDevice(recordings: File) : Device {
    private val outputs: Map<String, RawOutputs> =
        Json.parse(recordings.readBytes()).asJsonObject.getAsJsonArray("cases").map { it.asJsonObject }.associate {
            it.get("input_sha256").asString to RawOutputs(
                Vectors.floats(it.get("boxes")), Vectors.floats(it.get("classes")), Vectors.floats(it.get("scores")),
                it.get("count").asFloat,
            )
        }

    /** What tests change while the agent runs. */
    @Volatile
    var interruption: Interruption? = null

    @Volatile
    var runNs = 0L

    @Volatile
    var failsAfterRuns = Int.MAX_VALUE

    @Volatile
    var givesZeros = false

    @Volatile
    var openModels = 0

    override val program = "mobiledet replay double"
    override val accelerators = listOf("auto", "replay")

    override fun info() = DeviceInfo("double", "none", System.getProperty("os.name"), "none", 1, "replay", "1")

    override fun state() = DeviceState(
        memoryBytes = Runtime.getRuntime().totalMemory(),
        temperaturesC = mapOf("none" to 20.5),
        thermalStatus = "none",
        foreground = interruption?.code != "background",
    )

    override fun load(file: File, spec: ModelSpec, accelerator: String, threads: Int): LoadedModel {
        if (!file.isFile) throw MobileDetException("$file is missing")
        openModels++
        return Model(Execution(accelerator, "replay", null, maxOf(threads, 1)))
    }

    override fun decode(file: ByteArray, applyOrientation: Boolean): RgbImage {
        val picture = try {
            ImageIO.read(file.inputStream())
        } catch (error: IOException) {
            throw MobileDetException("it cannot be decoded: ${error.message}", error)
        } ?: throw MobileDetException("it is not an image of a known format")
        val argb = picture.getRGB(0, 0, picture.width, picture.height, null, 0, picture.width)
        val pixels = ByteArray(argb.size * 3) { (argb[it / 3] shr (16 - 8 * (it % 3))).toByte() }
        val image = RgbImage(picture.height, picture.width, pixels)
        return if (applyOrientation) Exif.orientation(file).turn(image) else image
    }

    override fun coldStart(file: File, spec: ModelSpec, accelerator: String, threads: Int) =
        ColdStart(1_000, maxOf(runNs, 1_000), null)

    override fun interruption() = interruption

    private inner class Model(override val execution: Execution) : LoadedModel {
        private var input = ""
        private var runs = 0

        override fun setInput(image: RgbImage) {
            input = Checksum.of(image.pixels)
        }

        override fun invoke() {
            if (runs++ >= failsAfterRuns) throw MobileDetException("the runtime fails on purpose")
            val end = System.nanoTime() + runNs
            if (runNs > 0) Thread.sleep(runNs / 1_000_000)
            while (System.nanoTime() < end) Thread.yield()
        }

        override fun outputs(): RawOutputs {
            val found = outputs[input] ?: throw MobileDetException("this double has no recording of that input")
            return if (givesZeros) RawOutputs(FloatArray(found.boxes.size), FloatArray(found.classes.size), FloatArray(found.scores.size), found.count) else found
        }

        override fun close() {
            openModels--
        }
    }
}
