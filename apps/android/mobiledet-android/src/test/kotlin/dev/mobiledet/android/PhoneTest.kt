package dev.mobiledet.android

import android.content.Context
import android.content.Intent
import android.os.BatteryManager
import android.os.PowerManager
import dev.mobiledet.core.Bundle
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.ThermalLevel
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class PhoneTest {
    private val context: Context = RuntimeEnvironment.getApplication()
    private val phone = PhoneDevice(context, "test 1")

    @Suppress("DEPRECATION")
    @Test
    fun theStateIsThatOfBatteryAndThermalService() {
        context.sendStickyBroadcast(
            Intent(Intent.ACTION_BATTERY_CHANGED).putExtra(BatteryManager.EXTRA_TEMPERATURE, 312)
                .putExtra(BatteryManager.EXTRA_LEVEL, 30).putExtra(BatteryManager.EXTRA_SCALE, 40)
                .putExtra(BatteryManager.EXTRA_PLUGGED, BatteryManager.BATTERY_PLUGGED_USB),
        )
        val power = shadowOf(context.getSystemService(PowerManager::class.java))
        power.setCurrentThermalStatus(PowerManager.THERMAL_STATUS_MODERATE)
        power.setIsPowerSaveMode(true)
        val state = phone.state()
        assertEquals(mapOf("battery" to 31.2), state.temperaturesC)
        assertEquals(0.75, state.battery!!, 0.0)
        assertEquals(true, state.charging)
        assertEquals("moderate", state.thermalStatus)
        assertEquals(true, state.powerSaving)
        assertEquals(true, state.foreground)
        assertTrue(state.memoryBytes!! in 1..state.peakMemoryBytes!!)
    }

    @Test
    fun theThermalStateIsReadOnceASecond() {
        val power = shadowOf(context.getSystemService(PowerManager::class.java))
        val thermal = PhoneThermal(context)
        assertEquals(ThermalLevel.NOMINAL, thermal.level(0))
        power.setCurrentThermalStatus(PowerManager.THERMAL_STATUS_SEVERE)
        assertEquals(ThermalLevel.NOMINAL, thermal.level(999_999_999))
        assertEquals(ThermalLevel.SERIOUS, thermal.level(1_000_000_000))
    }

    @Test
    fun inTheBackgroundNothingIsMeasured() {
        assertNull(phone.interruption())
        phone.isForeground = false
        assertEquals("background", phone.interruption()!!.code)
        assertEquals(false, phone.state().foreground)
    }

    @Test
    fun nnapiEndsWithAndroid14() {
        assertEquals(listOf("auto", "xnnpack", "cpu", "gpu", "gpu-float32", "npu"), phone.accelerators)
    }

    @Test
    fun theInfoNamesThePhone() {
        val info = phone.info()
        assertEquals("litert", info.runtime)
        assertTrue(info.os, "API 34" in info.os)
        assertTrue(info.cores > 0)
    }

    /** There is no LiteRT for this machine, so a detector cannot open here; the reason must be told in one line. */
    @Test
    fun withoutLiteRtTheReasonIsTold() {
        val good = File(System.getProperty("mobiledet.testdata"), "bundles/good")
        val error = assertThrows(MobileDetException::class.java) { Detector.open(good) }
        assertTrue(error.message, "LiteRT" in error.message)
        val unknown = assertThrows(MobileDetException::class.java) { Detector.open(good, accelerator = "abacus") }
        assertTrue(unknown.message, "unknown accelerator 'abacus'; this phone has auto" in unknown.message)
    }

    /** Robolectric has assets only where the Android Gradle plugin has packed them, so a folder stands for them. */
    @Test
    fun aBundleOfTheAssetsIsUnpackedOnceAndAgainWhenItWasChanged() {
        val folder = File(System.getProperty("mobiledet.testdata"), "bundles")
        val unpacked = File(context.filesDir, "mobiledet")
        fun assets(installed: Long) =
            BundleAssets({ listOf("good.mobiledet", "bundles.json") }, { File(folder, it.replace(".mobiledet", ".zip")).inputStream() }, unpacked, installed)
        val assets = assets(installed = 1)
        assertEquals(listOf("good.mobiledet"), assets.list())
        val first = assets.open("good.mobiledet")
        assertEquals(Bundle.open(File(folder, "good")).sha256, first.sha256)
        assertEquals(first.root, assets.open("good.mobiledet").root)
        File(first.root, "labels.txt").writeText("changed")
        assertEquals("cat", assets.open("good.mobiledet").root.resolve("labels.txt").readLines().first())
        val error = assertThrows(MobileDetException::class.java) { assets.open("absent") }
        assertEquals("no bundle 'absent' in the app's assets/bundles; it contains: good.mobiledet", error.message)
        val newer = assets(installed = 2).open("good.mobiledet")
        assertEquals(listOf(newer.root.name), unpacked.list()!!.toList())
        assertEquals(emptyList<String>(), BundleAssets(context).list())
    }
}
