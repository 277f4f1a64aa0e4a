package dev.mobiledet.android

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import dev.mobiledet.core.DeviceState
import java.io.File
import java.io.IOException

private val THERMAL_STATUS = listOf("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
private const val TENTHS = 10.0

/** Reads the state of the phone, as far as the system reports it to apps. */
internal class PhoneState(private val context: Context) {
    private val power = context.getSystemService(PowerManager::class.java)

    /** Reads the state; [foreground] is known only to the app. */
    fun read(foreground: Boolean?): DeviceState {
        // a sticky broadcast: returns the latest one at once
        val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        val temperature = battery?.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, Int.MIN_VALUE) ?: Int.MIN_VALUE
        return DeviceState(
            memoryBytes = memoryBytes(),
            peakMemoryBytes = statusBytes("VmHWM"),
            temperaturesC = if (temperature == Int.MIN_VALUE) emptyMap() else mapOf("battery" to temperature / TENTHS),
            thermalStatus = thermalStatus(power),
            load = null, // the system hides it from apps
            foreground = foreground,
            battery = battery?.let(::charge),
            powerSaving = power.isPowerSaveMode,
            charging = battery?.let { it.getIntExtra(BatteryManager.EXTRA_PLUGGED, 0) != 0 },
        )
    }

    private fun charge(battery: Intent): Double? {
        val level = battery.getIntExtra(BatteryManager.EXTRA_LEVEL, -1)
        val scale = battery.getIntExtra(BatteryManager.EXTRA_SCALE, -1)
        return if (level >= 0 && scale > 0) level.toDouble() / scale else null
    }

    internal companion object {
        /** Memory that this process uses now, in bytes. */
        fun memoryBytes(): Long? = statusBytes("VmRSS")

        /** The system's own term, such as `moderate`; null before Android 10. */
        fun thermalStatus(power: PowerManager): String? =
            if (Build.VERSION.SDK_INT >= 29) THERMAL_STATUS.getOrNull(power.currentThermalStatus) else null

        /** A field of /proc/self/status, converted from kB to bytes. */
        private fun statusBytes(field: String): Long? = try {
            val line = File("/proc/self/status").readLines().firstOrNull { it.startsWith("$field:") }
            line?.filter { it.isDigit() }?.toLongOrNull()?.times(1024)
        } catch (_: IOException) {
            null
        }
    }
}
