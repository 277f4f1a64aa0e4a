package dev.mobiledet.core.agent

import com.google.gson.JsonObject
import dev.mobiledet.core.DetectorSession
import dev.mobiledet.core.DeviceInfo
import java.util.UUID

/** A model file in memory; [trusted] says whether it has passed the golden gate. */
internal class Loaded(val request: SessionRequest, val session: DetectorSession, val device: DeviceInfo) {
    val id: String = UUID.randomUUID().toString()

    @Volatile
    var trusted = false

    @Volatile
    var job: Job? = null

    @Volatile
    var usedNs = System.nanoTime()

    val measures: Boolean get() = job?.info?.status == JobStatus.RUNNING

    val info: JsonObject get() = Sent.sessionInfo(id, session.bundle.sha256, device, session.execution)
}

/** The open sessions, with a limit on their number; [release] frees a closed session and may wait for its work to end. */
internal class Sessions(private val limits: Limits, private val release: (Loaded) -> Unit) {
    private val open = LinkedHashMap<String, Loaded>()
    private val opening = Any() // also held while loading, or two sessions with the same key could be opened

    /** The session for a request: an open one with the same key, or a new one from [load]. */
    fun open(request: SessionRequest, load: () -> Loaded): Loaded = synchronized(opening) {
        all().firstOrNull { it.request.key == request.key }?.let { loaded ->
            if (loaded.request != request) throw Refusal(409, "key_reused", "this key belongs to another session")
            return loaded
        }
        closeIdle()
        load().also { loaded -> synchronized(open) { open[loaded.id] = loaded } }
    }

    fun get(id: String): Loaded {
        val loaded = synchronized(open) { open[id] }
            ?: throw Refusal(404, "unknown_session", "no session '${id.take(80)}' is open")
        loaded.usedNs = System.nanoTime()
        return loaded
    }

    fun job(id: String): Job {
        val loaded = all().firstOrNull { it.job?.info?.id == id }
            ?: throw Refusal(404, "unknown_job", "no job '${id.take(80)}' is here")
        loaded.usedNs = System.nanoTime()
        return loaded.job!!
    }

    /** Closes a session and cancels its benchmark. */
    fun close(id: String) {
        get(id)
        synchronized(open) { open.remove(id) }?.let { loaded ->
            loaded.job?.cancel()
            release(loaded)
        }
    }

    fun closeAll() = all().forEach { close(it.id) }

    private fun all(): List<Loaded> = synchronized(open) { open.values.toList() }

    private fun closeIdle() {
        val loaded = all()
        if (loaded.size < limits.sessions) return
        val oldest = loaded.filter { !it.measures }.minByOrNull { it.usedNs }
        if (oldest == null || System.nanoTime() - oldest.usedNs < limits.idleSeconds * 1_000_000_000L) {
            throw Refusal(429, "too_many_sessions", "${loaded.size} sessions are open, which is the limit; close one")
        }
        close(oldest.id)
    }
}
