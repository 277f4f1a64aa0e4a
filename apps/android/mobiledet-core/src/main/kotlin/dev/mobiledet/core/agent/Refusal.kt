package dev.mobiledet.core.agent

import dev.mobiledet.core.Interruption
import java.io.IOException

/** The reply to a request that cannot be served: HTTP [status], [code] of apps/PROTOCOL.md, and one line of text. */
internal class Refusal(val status: Int, val code: String, message: String) :
    Exception(message.split(Regex("\\s+")).joinToString(" ").trim()) {
    override val message: String get() = super.message!!

    companion object {
        fun badRequest(message: String) = Refusal(400, "bad_request", message)

        fun of(interruption: Interruption) = Refusal(409, interruption.code, interruption.reason)
    }
}

/** Whether the storage is full; Java reports it only in the message. */
internal val Throwable.isStorageFull: Boolean
    get() = this is IOException && message.orEmpty().let { "ENOSPC" in it || "No space left" in it }
