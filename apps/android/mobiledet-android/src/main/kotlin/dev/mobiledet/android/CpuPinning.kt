package dev.mobiledet.android

import android.os.Process
import dev.mobiledet.core.MobileDetException
import java.io.IOException

private const val TASKSET = "/system/bin/taskset"
private val MASK = Regex("[0-9a-fA-F]{1,16}")

/** Which processor cores this process may use. */
public object CpuPinning {
    /**
     * Has all threads of this process, and those they start, run on some cores alone.
     *
     * @param mask hexadecimal, the lowest bit is core 0.
     * @throws MobileDetException it is no such mask, or the system refuses.
     */
    @JvmStatic
    public fun pin(mask: String) {
        if (!MASK.matches(mask)) throw MobileDetException("cpus '${mask.take(40)}' is no hexadecimal mask")
        try {
            val status = Runtime.getRuntime().exec(arrayOf(TASKSET, "-ap", mask, "${Process.myPid()}")).waitFor()
            if (status != 0) throw MobileDetException("taskset -ap $mask ended with status $status")
        } catch (error: IOException) {
            throw MobileDetException("taskset cannot be run: ${error.message}", error)
        }
    }
}
