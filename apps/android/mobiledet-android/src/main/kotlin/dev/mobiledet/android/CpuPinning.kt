package dev.mobiledet.android

import android.os.Process
import dev.mobiledet.core.MobileDetException
import java.io.IOException

private const val TASKSET = "/system/bin/taskset"
private val MASK = Regex("[0-9a-fA-F]{1,16}")

/** Restricts this process to some processor cores. */
public object CpuPinning {
    /**
     * Restricts all threads of this process, and those they start, to some cores.
     *
     * @param mask hexadecimal; the lowest bit is core 0.
     * @throws MobileDetException the mask is not valid, or the system refuses it.
     */
    @JvmStatic
    public fun pin(mask: String) {
        if (!MASK.matches(mask)) throw MobileDetException("cpus '${mask.take(40)}' is not a hexadecimal mask")
        try {
            val status = Runtime.getRuntime().exec(arrayOf(TASKSET, "-ap", mask, "${Process.myPid()}")).waitFor()
            if (status != 0) throw MobileDetException("taskset -ap $mask ended with status $status")
        } catch (error: IOException) {
            throw MobileDetException("taskset cannot be run: ${error.message}", error)
        }
    }
}
