package dev.mobiledet.android

import android.os.Build
import dev.mobiledet.core.MobileDetException
import java.util.concurrent.ConcurrentHashMap
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.gpu.CompatibilityList
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory
import org.tensorflow.lite.nnapi.NnApiDelegate

private const val NNAPI_DEPRECATED_SINCE = 35 // Android 15

/** The backends with which LiteRT can run a model file on this phone. */
public object Acceleration {
    /** A backend: whether XNNPACK runs operations on the CPU, and an optional function that makes a delegate. */
    public class Backend(public val xnnpack: Boolean, public val delegate: (() -> Delegate)? = null)

    private val vendors = ConcurrentHashMap<String, Backend>()

    /**
     * Backends by name: `auto` and `xnnpack`, `cpu` (LiteRT's own kernels), `gpu` (computes in 16 bits), `gpu-float32`,
     * `npu` up to Android 14, and registered ones.
     */
    public val backends: Map<String, Backend>
        get() {
            val known = linkedMapOf(
                "auto" to Backend(true),
                "xnnpack" to Backend(true),
                "cpu" to Backend(false),
                "gpu" to Backend(true) { gpu(precisionLoss = true) },
                "gpu-float32" to Backend(true) { gpu(precisionLoss = false) },
            )
            if (Build.VERSION.SDK_INT < NNAPI_DEPRECATED_SINCE) known["npu"] = Backend(true, ::nnapi)
            return known + vendors
        }

    /**
     * Adds a chip vendor's delegate, such as Qualcomm's, under a name of its own or as `npu`.
     *
     * @param delegate called each time a file is loaded with it; a closeable delegate is closed with the file.
     */
    @JvmStatic
    public fun register(name: String, delegate: () -> Delegate) {
        vendors[name] = Backend(true, delegate)
    }

    private fun gpu(precisionLoss: Boolean): Delegate {
        CompatibilityList().use { list ->
            if (!list.isDelegateSupportedOnThisDevice) {
                throw MobileDetException("LiteRT's GPU delegate does not support the GPU of this phone; use xnnpack")
            }
        }
        return GpuDelegate(GpuDelegateFactory.Options().setPrecisionLossAllowed(precisionLoss))
    }

    private fun nnapi(): Delegate =
        NnApiDelegate(NnApiDelegate.Options().setUseNnapiCpu(false).setAllowFp16(true))
}
