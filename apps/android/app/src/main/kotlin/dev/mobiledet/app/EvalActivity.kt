package dev.mobiledet.app

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.util.Log
import android.view.WindowManager
import dev.mobiledet.android.CpuPinning
import dev.mobiledet.android.PhoneDevice
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.agent.Agent
import dev.mobiledet.core.agent.AgentServer
import java.io.File
import java.io.IOException

private const val TAG = "mobiledet" // the host shows this log
private const val TOKEN = "token"
private const val PORT = "port"
private const val CPUS = "cpus"
private const val MANUAL_PORT = 8765

/**
 * Serves the phone to `mobiledet evaluate` on a computer, as long as the app is in the foreground.
 *
 * The computer starts it through adb with a fresh token and a port; it listens only on the phone's 127.0.0.1, which adb
 * forwards. Other apps cannot start it: they lack the permission DUMP (see the manifest).
 */
public class EvalActivity : Activity() {
    private var phone: PhoneDevice? = null
    private var server: AgentServer? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        stayOn()
        val token = intent.getStringExtra(TOKEN).orEmpty()
        try {
            serve(token, intent.getIntExtra(PORT, 0), intent.getStringExtra(CPUS))
        } catch (error: MobileDetException) {
            Log.e(TAG, error.message)
            return finish()
        }
        val screen = Screen(this)
        screen.text("This phone is being evaluated. Keep this app in the foreground and do not use the phone.")
        if (intent.hasExtra(SHOWN)) {
            screen.text("adb forward tcp:${server!!.port} tcp:${server!!.port}")
            screen.text("mobiledet evaluate BUNDLE --device http://127.0.0.1:${server!!.port} --token $token --data DATA")
        }
        screen.button("Stop") { finish() }
        screen.show()
    }

    override fun onResume() {
        super.onResume()
        phone?.isForeground = true
    }

    override fun onPause() {
        phone?.isForeground = false
        super.onPause()
    }

    override fun onDestroy() {
        server?.close()
        super.onDestroy()
    }

    private fun stayOn() {
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        if (Build.VERSION.SDK_INT >= 27) {
            setShowWhenLocked(true)
            setTurnScreenOn(true)
        } else {
            @Suppress("DEPRECATION")
            window.addFlags(
                WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED or WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON,
            )
        }
    }

    /** Starts the agent; [cpus] is an optional mask of the processor cores to run on. */
    private fun serve(token: String, port: Int, cpus: String?) {
        if (port == 0) throw MobileDetException("the extra '$PORT' is missing, so the computer would not know the port")
        cpus?.let(CpuPinning::pin)
        val device = PhoneDevice(this, PROGRAM, cpus)
        try {
            server = AgentServer(Agent(device, File(cacheDir, "agent")), token, port)
        } catch (error: IllegalArgumentException) {
            throw MobileDetException("cannot start the agent: ${error.message}", error)
        } catch (error: IOException) {
            throw MobileDetException("cannot listen on port $port: ${error.message}", error)
        }
        phone = device
    }

    internal companion object {
        const val PROGRAM = "mobiledet android 0.2.0"
        private const val SHOWN = "shown"

        /** Starts it without a computer; the user reads the token from the screen. */
        fun manualIntent(context: Context): Intent = Intent(context, EvalActivity::class.java)
            .putExtra(TOKEN, AgentServer.newToken()).putExtra(PORT, MANUAL_PORT).putExtra(SHOWN, true)
    }
}
