package dev.mobiledet.android

import android.app.Service
import android.content.ComponentName
import android.content.Context
import android.content.Intent
import android.content.ServiceConnection
import android.os.Bundle
import android.os.Handler
import android.os.HandlerThread
import android.os.IBinder
import android.os.Looper
import android.os.Message
import android.os.Messenger
import android.os.Process
import android.os.RemoteException
import dev.mobiledet.core.Bundle as DetectorBundle
import dev.mobiledet.core.ColdStart
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.RgbImage
import java.io.File
import java.util.concurrent.ArrayBlockingQueue
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit

private const val TIMEOUT_SECONDS = 120L // a GPU may compile for a while
private const val GREY: Byte = 127
private const val FILE = "file"
private const val ACCELERATOR = "accelerator"
private const val THREADS = "threads"
private const val CPU_MASK = "cpu_mask"
private const val LOAD_NS = "load_ns"
private const val FIRST_INFER_NS = "first_infer_ns"
private const val MEMORY_BYTES = "memory_bytes"
private const val PROBLEM = "problem"

/** Loads a model file for the first time, in a separate process that ends afterwards (see the manifest). */
public class ColdStartService : Service() {
    private val worker = HandlerThread("mobiledet-cold-start").apply { start() }

    override fun onBind(intent: Intent): IBinder = Messenger(Handler(worker.looper, ::answer)).binder

    override fun onDestroy() {
        super.onDestroy()
        Process.killProcess(Process.myPid())
    }

    private fun answer(request: Message): Boolean {
        val reply = Message.obtain()
        reply.data = try {
            measureHere(request.data)
        } catch (error: MobileDetException) {
            Bundle().apply { putString(PROBLEM, error.message) }
        }
        try {
            request.replyTo.send(reply)
        } catch (_: RemoteException) { // the client has disconnected
        }
        return true
    }

    private fun measureHere(request: Bundle): Bundle {
        request.getString(CPU_MASK)?.let(CpuPinning::pin) // a new process does not inherit the pinning of the one that requests it
        val file = File(request.getString(FILE)!!)
        val spec = DetectorBundle.open(bundleOf(file)).spec
        val image = RgbImage(
            spec.input.height, spec.input.width, ByteArray(spec.input.height * spec.input.width * RgbImage.CHANNELS) { GREY },
        )
        val memoryBefore = PhoneState.memoryBytes()
        val started = System.nanoTime()
        val model = LiteRtModel.load(file, spec, request.getString(ACCELERATOR)!!, request.getInt(THREADS))
        val loaded = System.nanoTime()
        model.setInput(image)
        val ready = System.nanoTime()
        model.invoke()
        val done = System.nanoTime()
        val memoryAfter = PhoneState.memoryBytes()
        return Bundle().apply {
            putLong(LOAD_NS, loaded - started)
            putLong(FIRST_INFER_NS, done - ready)
            if (memoryBefore != null && memoryAfter != null) putLong(MEMORY_BYTES, memoryAfter - memoryBefore)
        }
    }

    /** The folder above a model file that contains bundle.json. */
    private fun bundleOf(file: File): File =
        generateSequence(file.parentFile) { it.parentFile }.firstOrNull { File(it, "bundle.json").isFile }
            ?: throw MobileDetException("${file.name} is not in a bundle")

    internal companion object {
        /**
         * Loads and runs a file once in a fresh process; blocks.
         *
         * @throws MobileDetException the file cannot be run with this accelerator, or the process does not answer.
         */
        fun measure(context: Context, file: File, accelerator: String, threads: Int, cpuMask: String?): ColdStart {
            check(Looper.myLooper() != Looper.getMainLooper()) { "not on the main thread: the service answers there" }
            val request = Bundle().apply {
                putString(FILE, file.path)
                putString(ACCELERATOR, accelerator)
                putInt(THREADS, threads)
                putString(CPU_MASK, cpuMask)
            }
            val answers = ArrayBlockingQueue<Bundle>(2)
            val connection = Connection(request, answers)
            // important: run on the cores of the foreground app, not on those for background work
            val flags = Context.BIND_AUTO_CREATE or Context.BIND_IMPORTANT
            val bound = context.bindService(Intent(context, ColdStartService::class.java), connection, flags)
            try {
                val answer = if (bound) answers.poll(TIMEOUT_SECONDS, TimeUnit.SECONDS) else null
                val problem = if (answer == null) "the fresh process does not answer" else answer.getString(PROBLEM)
                if (answer == null || problem != null) throw MobileDetException("no cold start: $problem")
                val memory = if (answer.containsKey(MEMORY_BYTES)) answer.getLong(MEMORY_BYTES) else null
                return ColdStart(answer.getLong(LOAD_NS), answer.getLong(FIRST_INFER_NS), memory)
            } finally {
                context.unbindService(connection)
                connection.awaitEnd()
            }
        }
    }

    private class Connection(private val request: Bundle, private val answers: ArrayBlockingQueue<Bundle>) : ServiceConnection {
        private val ended = CountDownLatch(1)
        private val receiver = Messenger(Handler(Looper.getMainLooper()) { answers.offer(Bundle(it.data)) })

        override fun onServiceConnected(name: ComponentName, binder: IBinder) {
            try {
                binder.linkToDeath({ ended.countDown() }, 0)
                Messenger(binder).send(Message.obtain().apply { data = request; replyTo = receiver })
            } catch (error: RemoteException) {
                answers.offer(Bundle().apply { putString(PROBLEM, "the fresh process has died (${error.message})") })
            }
        }

        override fun onServiceDisconnected(name: ComponentName) {
            answers.offer(Bundle().apply { putString(PROBLEM, "the fresh process has died") })
            ended.countDown()
        }

        override fun onNullBinding(name: ComponentName) {
            answers.offer(Bundle().apply { putString(PROBLEM, "the service does not exist") })
            ended.countDown()
        }

        /** Waits until this process has ended: the next measurement needs a new one. */
        fun awaitEnd() {
            ended.await(2, TimeUnit.SECONDS)
        }
    }
}
