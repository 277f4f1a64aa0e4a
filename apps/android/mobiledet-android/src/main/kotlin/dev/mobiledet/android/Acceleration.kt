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

/** The ways in which LiteRT can run a model file on this phone. */
public object Acceleration {
    /** One way: [xnnpack] on the processor, and [delegate], which makes what runs the rest elsewhere. */
    public class Way(public val xnnpack: Boolean, public val delegate: (() -> Delegate)? = null)

    private val vendors = ConcurrentHashMap<String, Way>()

    /**
     * By name: `auto` and `xnnpack`, `cpu` (LiteRT's own kernels), `gpu` (computes in 16 bits), `gpu-float32`, `npu` up to
     * Android 14, and registered ones.
     */
    public val ways: Map<String, Way>
        get() {
            val known = linkedMapOf(
                "auto" to Way(true),
                "xnnpack" to Way(true),
                "cpu" to Way(false),
                "gpu" to Way(true) { gpu(precisionLoss = true) },
                "gpu-float32" to Way(true) { gpu(precisionLoss = false) },
            )
            if (Build.VERSION.SDK_INT < NNAPI_DEPRECATED_SINCE) known["npu"] = Way(true, ::nnapi)
            return known + vendors
        }

    /**
     * Adds a way of a chip's maker, such as Qualcomm's delegate, under a name of its own or as `npu`.
     *
     * @param delegate is called each time a file is loaded so; the delegate is closed with the file when it is closeable.
     */
    @JvmStatic
    public fun register(name: String, delegate: () -> Delegate) {
        vendors[name] = Way(true, delegate)
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
