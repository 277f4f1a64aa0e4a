package dev.mobiledet.core.agent

import com.google.gson.JsonObject
import dev.mobiledet.core.Json
import java.io.BufferedInputStream
import java.io.ByteArrayOutputStream
import java.io.Closeable
import java.io.InputStream
import java.net.Socket

internal const val TOKEN = "a-token-for-these-tests"

/** What came back: chunks are put together, [isWhole] is false where the end is missing. */
internal class Reply(val status: Int, val headers: Map<String, String>, val body: ByteArray, val isWhole: Boolean) {
    val json: JsonObject get() = Json.parse(body).asJsonObject
    val code: String get() = json.get("code").asString
    val lines: List<JsonObject>
        get() = String(body).lines().filter { it.isNotEmpty() }.map { Json.parse(it.toByteArray()).asJsonObject }
}

/** A client on a raw socket, so that tests can send what no library would. */
internal class Client(port: Int) : Closeable {
    private val socket = Socket("127.0.0.1", port).apply { soTimeout = 20_000 }
    private val input = BufferedInputStream(socket.getInputStream())

    fun send(method: String, path: String, body: ByteArray = ByteArray(0), auth: String = "Bearer $TOKEN"): Reply {
        val authorization = if (auth.isEmpty()) "" else "Authorization: $auth\r\n"
        sendRaw("$method $path HTTP/1.1\r\nHost: localhost\r\n${authorization}Content-Length: ${body.size}\r\n\r\n".toByteArray() + body)
        return receive()
    }

    fun sendRaw(content: ByteArray) {
        socket.getOutputStream().write(content)
        socket.getOutputStream().flush()
    }

    fun receive(): Reply {
        val status = line().split(' ')[1].toInt()
        val headers = HashMap<String, String>()
        while (true) {
            val header = line()
            if (header.isEmpty()) break
            headers[header.substringBefore(':').lowercase()] = header.substringAfter(": ")
        }
        if (headers["transfer-encoding"] == "chunked") return chunked(status, headers)
        val length = headers["content-length"]?.toInt() ?: 0
        val body = input.readNBytes(length)
        return Reply(status, headers, body, body.size == length)
    }

    /** Whether the other side has closed the connection. */
    fun isClosed(): Boolean = input.read() < 0

    override fun close() = socket.close()

    private fun chunked(status: Int, headers: Map<String, String>): Reply {
        val body = ByteArrayOutputStream()
        while (true) {
            val size = line().ifEmpty { return Reply(status, headers, body.toByteArray(), false) }.toInt(16)
            body.write(input.readNBytes(size))
            line()
            if (size == 0) return Reply(status, headers, body.toByteArray(), true)
        }
    }

    private fun line(): String = input.line()

    private fun InputStream.line(): String {
        val line = StringBuilder()
        while (true) {
            val byte = read()
            if (byte < 0 || byte == '\n'.code) return line.toString().removeSuffix("\r")
            line.append(byte.toChar())
        }
    }
}
