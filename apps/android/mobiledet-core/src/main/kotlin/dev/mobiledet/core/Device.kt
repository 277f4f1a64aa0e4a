package dev.mobiledet.core

import java.io.Closeable
import java.io.File

/** What a device is; [runtime] is what executes model files, such as `litert`. */
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
 * How a model file is really executed.
 *
 * @property delegatedShare part of the graph that runs on the accelerator, 0..1; null where the runtime does not tell.
 */
public data class Execution(val requested: String, val actual: String, val delegatedShare: Double?, val threads: Int)

/** Nanoseconds of a monotonic clock for one image. */
public data class StageTimes(val decode: Long, val preprocess: Long, val infer: Long, val postprocess: Long)

/** A model file in a runtime; for one thread at a time. */
public interface LoadedModel : Closeable {
    public val execution: Execution

    /** Copies an image of the model's size into the input. */
    public fun setInput(image: RgbImage)

    /** Runs the file; the input must be set anew before each run. Throws [MobileDetException] when the runtime fails. */
    public fun invoke()

    /** What the last run gave. */
    public fun outputs(): RawOutputs
}

/** Why nothing may be measured now; [code] is one of apps/PROTOCOL.md: `background` or `accelerator_lost`. */
public class Interruption(public val code: String, public val reason: String)

/** What the agent asks of the phone (or, in tests, of what stands for one). Methods may be called by any thread. */
public interface Device {
    /** Name and version of the program. */
    public val program: String

    /** What a session may ask for; `auto` is among them. */
    public val accelerators: List<String>

    public fun info(): DeviceInfo

    public fun state(): DeviceState

    /**
     * Loads a model file.
     *
     * @param accelerator one of [accelerators].
     * @param threads of the processor; 0 takes every core.
     * @throws MobileDetException the file cannot be run so.
     */
    public fun load(file: File, spec: ModelSpec, accelerator: String, threads: Int): LoadedModel

    /**
     * Decodes a JPEG or PNG file to RGB without colour management, turned as its EXIF data say if [applyOrientation].
     *
     * @throws MobileDetException it is no picture.
     */
    public fun decode(file: ByteArray, applyOrientation: Boolean): RgbImage

    /** Loads and runs the file in a fresh process if the system allows one. Throws as [load]. */
    public fun coldStart(file: File, spec: ModelSpec, accelerator: String, threads: Int): ColdStart

    /** Why nothing may be measured now, or null. */
    public fun interruption(): Interruption?
}
