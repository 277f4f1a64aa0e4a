package dev.mobiledet.app

import android.content.Intent
import android.view.WindowManager
import java.net.HttpURLConnection
import java.net.ServerSocket
import java.net.URL
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowLog

private const val TOKEN = "a-token-for-these-tests"

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class EvalActivityTest {
    private fun start(token: String?, port: Int, cpus: String? = null) = Robolectric.buildActivity(
        EvalActivity::class.java, Intent().putExtra("token", token).putExtra("port", port).putExtra("cpus", cpus),
    ).setup()

    private fun freePort() = ServerSocket(0).use { it.localPort }

    private fun ask(port: Int, path: String, token: String = TOKEN): Pair<Int, String> {
        val connection = URL("http://127.0.0.1:$port$path").openConnection() as HttpURLConnection
        connection.setRequestProperty("Authorization", "Bearer $token")
        val status = connection.responseCode
        val stream = if (status < 400) connection.inputStream else connection.errorStream
        return status to stream.use { String(it.readBytes()) }
    }

    private fun problem() = ShadowLog.getLogsForTag("mobiledet").last().msg

    @Test
    fun itServesThePhoneToWhoKnowsTheToken() {
        val port = freePort()
        val controller = start(TOKEN, port)
        val (status, info) = ask(port, "/v1/info")
        assertEquals(200, status)
        assertTrue(info, "\"accelerators\":[\"auto\",\"xnnpack\",\"cpu\",\"gpu\",\"gpu-float32\",\"npu\"]" in info)
        assertEquals(401, ask(port, "/v1/info", "another token of this length").first)
        val flags = controller.get().window.attributes.flags
        assertTrue(flags and WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON != 0)
        controller.pause().stop().destroy()
        assertThrows(java.net.ConnectException::class.java) { ask(port, "/v1/info") }
    }

    @Test
    fun itTellsWhetherItIsInFront() {
        val port = freePort()
        val controller = start(TOKEN, port)
        assertTrue("\"foreground\":true" in ask(port, "/v1/state").second)
        controller.pause()
        assertTrue("\"foreground\":false" in ask(port, "/v1/state").second)
        controller.resume()
        assertTrue("\"foreground\":true" in ask(port, "/v1/state").second)
        controller.pause().stop().destroy()
    }

    @Test
    fun withoutATokenItEnds() {
        for (token in listOf(null, "", "short")) {
            assertTrue(start(token, freePort()).get().isFinishing)
            assertTrue(problem(), "token must have at least 16" in problem())
        }
    }

    @Test
    fun withoutAPortItEnds() {
        assertTrue(start(TOKEN, 0).get().isFinishing)
        assertTrue(problem(), "'port' is missing" in problem())
    }

    @Test
    fun aPortInUseEndsIt() = ServerSocket(0).use { taken ->
        assertTrue(start(TOKEN, taken.localPort).get().isFinishing)
        assertTrue(problem(), "cannot listen on port ${taken.localPort}" in problem())
    }

    @Test
    fun aMaskThatIsNoneEndsIt() {
        assertTrue(start(TOKEN, freePort(), "f0; reboot").get().isFinishing)
        assertEquals("cpus 'f0; reboot' is not a hexadecimal mask", problem())
        // there is no taskset at Android's place on this machine
        assertTrue(start(TOKEN, freePort(), "f0").get().isFinishing)
        assertTrue(problem(), "taskset" in problem())
    }

    @Test
    fun startedByHandItShowsHowItIsReached() {
        val intent = EvalActivity.manualIntent(RuntimeEnvironment.getApplication()).putExtra("port", freePort())
        val controller = Robolectric.buildActivity(EvalActivity::class.java, intent).setup()
        assertFalse(controller.get().isFinishing)
        assertEquals(200, ask(intent.getIntExtra("port", 0), "/v1/info", intent.getStringExtra("token")!!).first)
        controller.pause().stop().destroy()
    }
}
