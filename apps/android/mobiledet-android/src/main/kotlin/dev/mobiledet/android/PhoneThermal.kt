package dev.mobiledet.android

import android.content.Context
import android.os.PowerManager
import dev.mobiledet.core.ThermalLevel

private const val READ_AGAIN_NS = 1_000_000_000L

/** The thermal state of this phone, for a [dev.mobiledet.core.FramePacer]. The system is asked at most once a second. */
public class PhoneThermal(context: Context) {
    private val power = context.getSystemService(PowerManager::class.java)
    private var readNs: Long? = null
    private var latest: ThermalLevel? = null

    /** The state now; null before Android 10, which does not report it. */
    @Synchronized
    public fun level(nowNs: Long = System.nanoTime()): ThermalLevel? {
        val read = readNs
        if (read == null || nowNs - read >= READ_AGAIN_NS) {
            latest = ThermalLevel.of(PhoneState.thermalStatus(power))
            readNs = nowNs
        }
        return latest
    }
}
