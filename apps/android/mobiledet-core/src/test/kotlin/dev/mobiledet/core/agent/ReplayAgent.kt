package dev.mobiledet.core.agent

import java.io.File

/** Serves [ReplayDevice] until its input ends: arguments are a file of recordings, a folder and a token. */
public fun main(arguments: Array<String>) {
    val (recordings, folder, token) = arguments
    val agent = Agent(ReplayDevice(File(recordings)), File(folder), Limits(bodyBytes = 20_000_000, idleSeconds = 0))
    AgentServer(agent, token).use { server ->
        println("agent: http://127.0.0.1:${server.port}")
        while (System.`in`.read() >= 0) continue
    }
}
