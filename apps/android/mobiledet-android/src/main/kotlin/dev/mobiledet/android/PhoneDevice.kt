package dev.mobiledet.android

import android.content.Context
import android.os.Build
import dev.mobiledet.core.ColdStart
import dev.mobiledet.core.Device
import dev.mobiledet.core.DeviceInfo
import dev.mobiledet.core.DeviceState
import dev.mobiledet.core.Interruption
import dev.mobiledet.core.LoadedModel
import dev.mobiledet.core.ModelSpec
import dev.mobiledet.core.RgbImage
import java.io.File
import org.tensorflow.lite.TensorFlowLite

/**
 * This phone as a device of the agent protocol.
 *
 * @param program name and version of the app.
 * @param cpuMask mask of the cores that this process is pinned to, for the processes of cold starts; see [CpuPinning].
 */
public class PhoneDevice @JvmOverloads constructor(
    context: Context,
    override val program: String,
    private val cpuMask: String? = null,
) : Device {
    private val context = context.applicationContext
    private val state = PhoneState(this.context)

    /** Whether the app is in the foreground; the activity updates it. */
    @Volatile
    public var isForeground: Boolean = true

    override val accelerators: List<String> get() = Acceleration.backends.keys.toList()

    override fun info(): DeviceInfo = DeviceInfo(
        name = "android",
        model = "${Build.MANUFACTURER} ${Build.MODEL}",
        os = "Android ${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT}, ${Build.DISPLAY})",
        cpu = if (Build.VERSION.SDK_INT >= 31) "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}" else Build.HARDWARE,
        cores = Runtime.getRuntime().availableProcessors(),
        runtime = "litert",
        runtimeVersion = runtimeVersion(),
    )

    override fun state(): DeviceState = state.read(isForeground)

    override fun load(file: File, spec: ModelSpec, accelerator: String, threads: Int): LoadedModel =
        LiteRtModel.load(file, spec, accelerator, threads)

    override fun decode(file: ByteArray, applyOrientation: Boolean): RgbImage = Pictures.decode(file, applyOrientation)

    override fun coldStart(file: File, spec: ModelSpec, accelerator: String, threads: Int): ColdStart =
        ColdStartService.measure(context, file, accelerator, threads, cpuMask)

    override fun interruption(): Interruption? =
        if (isForeground) null else Interruption("background", "the app is not in the foreground; bring it back and keep it there")

    private fun runtimeVersion(): String = try {
        TensorFlowLite.runtimeVersion()
    } catch (_: UnsatisfiedLinkError) {
        "not in this app"
    }
}
