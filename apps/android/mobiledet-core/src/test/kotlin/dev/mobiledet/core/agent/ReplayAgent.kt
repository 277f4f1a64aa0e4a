package dev.mobiledet.core.agent

import java.io.File
import kotlin.system.exitProcess

private const val USAGE = "options: --recordings FILE --cache FOLDER [--sessions N] [--idle-seconds N] [--body-bytes N]"

/** Serves [ReplayDevice] until it is told to stop; tests/devices/agent/test_replay_agents.py drives it. */
public fun main(arguments: Array<String>) {
    val options = arguments.toList().chunked(2).associate { it[0] to it.getOrElse(1) { "" } }
    val recordings = options["--recordings"]
    val cache = options["--cache"]
    if (recordings == null || cache == null) {
        System.err.println(USAGE)
        exitProcess(2)
    }
    val limits = Limits(
        bodyBytes = options["--body-bytes"]?.toLong() ?: 64_000_000,
        sessions = options["--sessions"]?.toInt() ?: 4,
        idleSeconds = options["--idle-seconds"]?.toInt() ?: 600,
    )
    val token = AgentServer.newToken()
    val server = AgentServer(Agent(ReplayDevice(File(recordings)), File(cache), limits), token)
    println("agent: http://127.0.0.1:${server.port}, protocol $PROTOCOL\ntoken: $token")
    Runtime.getRuntime().addShutdownHook(Thread {
        println("agent: stopping")
        server.close()
        System.out.flush()
        Runtime.getRuntime().halt(0) // Java's own status would tell of the signal
    })
    Thread.currentThread().join()
}
