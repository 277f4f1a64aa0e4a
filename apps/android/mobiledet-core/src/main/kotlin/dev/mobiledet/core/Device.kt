package dev.mobiledet.core

import java.io.Closeable
import java.io.File

/** Description of a device; [runtime] executes model files, such as `litert`. */
public data class DeviceInfo(
    val name: String,
    val model: String,
    val os: String,
    val cpu: String,
    val cores: Int,
    val runtime: String,
    val runtimeVersion: String,
)

/**
 * How a model file is actually executed.
 *
 * @property delegatedShare fraction of the graph that runs on the accelerator, 0..1; null if the runtime does not report it.
 */
public data class Execution(val requested: String, val actual: String, val delegatedShare: Double?, val threads: Int)

/** Time of each step for one image, in nanoseconds of a monotonic clock. */
public data class StageTimes(val decode: Long, val preprocess: Long, val infer: Long, val postprocess: Long)

/** A model file loaded in a runtime. Not thread-safe. */
public interface LoadedModel : Closeable {
    public val execution: Execution

    /** Copies an image of the model's size into the input. */
    public fun setInput(image: RgbImage)

    /** Runs the file; the input must be set again before each run. Throws [MobileDetException] if the runtime fails. */
    public fun invoke()

    /** The outputs of the last run. */
    public fun outputs(): RawOutputs
}

/** Why nothing may be measured now; [code] is `background` or `accelerator_lost`, see apps/PROTOCOL.md. */
public class Interruption(public val code: String, public val reason: String)

/** The phone, or a double in tests, as the agent uses it. Methods may be called by any thread. */
public interface Device {
    /** Name and version of the program. */
    public val program: String

    /** Accelerators that a session may request, including `auto`. */
    public val accelerators: List<String>

    public fun info(): DeviceInfo

    public fun state(): DeviceState

    /**
     * Loads a model file.
     *
     * @param accelerator one of [accelerators].
     * @param threads number of CPU threads; 0 is the device's default, on phones at most 4.
     * @throws MobileDetException the file cannot be run with this accelerator.
     */
    public fun load(file: File, spec: ModelSpec, accelerator: String, threads: Int): LoadedModel

    /**
     * Decodes a JPEG or PNG file to RGB without colour management, turned by its EXIF orientation if [applyOrientation].
     *
     * @throws MobileDetException it is not an image.
     */
    public fun decode(file: ByteArray, applyOrientation: Boolean): RgbImage

    /** Loads and runs the file in a fresh process if the system allows one. Throws as in [load]. */
    public fun coldStart(file: File, spec: ModelSpec, accelerator: String, threads: Int): ColdStart

    /** Why nothing may be measured now, or null. */
    public fun interruption(): Interruption?
}
