package dev.mobiledet.core.agent

import java.io.BufferedInputStream
import java.io.BufferedOutputStream
import java.io.Closeable
import java.io.EOFException
import java.io.FilterOutputStream
import java.net.Socket

private const val MAX_LINE_BYTES = 8 shl 10
private const val MAX_HEADERS = 100
private const val BLOCK_BYTES = 1 shl 16
private const val SEND_NS = 5_000_000_000 // time limit for a client that does not read its reply
private val REASONS = mapOf(
    100 to "Continue", 200 to "OK", 201 to "Created", 202 to "Accepted", 204 to "No Content", 400 to "Bad Request",
    401 to "Unauthorized", 403 to "Forbidden", 404 to "Not Found", 405 to "Method Not Allowed", 409 to "Conflict",
    411 to "Length Required", 413 to "Payload Too Large", 421 to "Misdirected Request", 422 to "Unprocessable Entity",
    429 to "Too Many Requests", 500 to "Internal Server Error", 503 to "Service Unavailable", 507 to "Insufficient Storage",
)

/** The head of a request, header names in lower case. [isValid] is false if it is malformed. */
internal class HttpRequest(
    val method: String,
    val path: String,
    val query: Map<String, String>,
    val headers: Map<String, List<String>>,
    val isValid: Boolean = true,
) {
    /** The value of a header; empty if it is missing or repeated. */
    fun header(name: String): String = all(name).singleOrNull().orEmpty()

    fun all(name: String): List<String> = headers[name].orEmpty()
}

/** An HTTP/1.1 connection, as far as apps/PROTOCOL.md needs it. Methods throw IOException if the peer has disconnected. */
internal class HttpConnection(private val socket: Socket) : Closeable {
    private val input = BufferedInputStream(socket.getInputStream(), BLOCK_BYTES)
    private val output = BufferedOutputStream(TimedOutput(), BLOCK_BYTES)
    private val since = System.nanoTime()

    @Volatile private var sendingSince: Long? = null

    /** Whether the client has sent the token. */
    @Volatile var isAuthenticated: Boolean = false

    // unread bytes of the body; -1 if its length is unknown
    private var unread = 0L
    private var awaitsContinue = false
    private var streaming = false

    /** Whether another request may follow. */
    var keepsAlive = true
        private set

    /** Whether a reply has begun but is not complete. */
    val isStreaming: Boolean get() = streaming

    /** Time without authentication; 0 if it has authenticated. */
    fun unauthenticatedNs(): Long = if (isAuthenticated) 0 else System.nanoTime() - since

    /** Whether the peer does not read what is sent. */
    fun isStuck(): Boolean = sendingSince?.let { System.nanoTime() - it > SEND_NS } ?: false

    override fun close() = socket.close()

    /** The next request; null if the peer has closed the connection. */
    fun next(): HttpRequest? {
        var line = readLine() ?: return null
        while (line.isEmpty()) line = readLine() ?: return null
        val headers = HashMap<String, MutableList<String>>()
        var count = 0
        var isValid = true
        while (true) {
            val header = readLine() ?: throw EOFException("the head of a request ended early")
            if (header.isEmpty()) break
            val name = header.substringBefore(':', "").lowercase()
            // two lengths, or a space before the colon, are signs of request smuggling
            if (name.isEmpty() || name.any { it <= ' ' } || (name in headers && name == "content-length")) isValid = false
            headers.getOrPut(name) { ArrayList(1) } += header.substringAfter(':').trim()
            if (++count > MAX_HEADERS) throw EOFException("the head of a request is too long")
        }
        val words = line.split(' ')
        if (words.size != 3 || !words[2].startsWith("HTTP/1.")) isValid = false
        val target = words.getOrElse(1) { "" }
        val length = headers["content-length"]?.singleOrNull()
        unread = when {
            "transfer-encoding" in headers -> -1
            "content-length" !in headers -> 0
            else -> length?.takeIf { LENGTH.matches(it) }?.toLong() ?: -1
        }
        awaitsContinue = headers["expect"]?.singleOrNull().equals("100-continue", ignoreCase = true)
        keepsAlive = isValid && words[2] == "HTTP/1.1" && !headers["connection"]?.singleOrNull().equals("close", ignoreCase = true)
        streaming = false
        return HttpRequest(words[0], target.substringBefore('?'), query(target.substringAfter('?', "")), headers, isValid)
    }

    /** Passes the body to [use] block by block; refuses a body without a length or above [limit] before reading it. */
    fun readBody(request: HttpRequest, limit: Long, use: (ByteArray, Int) -> Unit) {
        if (unread < 0 || "content-length" !in request.headers) {
            throw Refusal(411, "length_required", "Content-Length is missing, or not alone")
        }
        if (unread > limit) throw Refusal(413, "too_large", "a body of $unread bytes is too large; the limit is $limit")
        if (awaitsContinue) writeHead(100, emptyMap())
        val block = ByteArray(BLOCK_BYTES)
        while (unread > 0) {
            val count = input.read(block, 0, minOf(unread, block.size.toLong()).toInt())
            if (count < 0) throw EOFException("the body ended early")
            unread -= count
            use(block, count)
        }
    }

    /** Reads the whole body into memory. */
    fun readBody(request: HttpRequest, limit: Long): ByteArray {
        var content = ByteArray(0)
        var filled = 0
        readBody(request, minOf(limit, Int.MAX_VALUE.toLong() - 8)) { block, count ->
            if (content.isEmpty()) content = ByteArray((unread + count).toInt())
            block.copyInto(content, filled, 0, count)
            filled += count
        }
        return content
    }

    /** Sends a complete reply; without [content] it has no body. */
    fun reply(request: HttpRequest, status: Int, content: ByteArray?) {
        // an unread body would be taken for the next request
        if (unread != 0L) keepsAlive = false
        val headers = LinkedHashMap<String, String>()
        if (content != null) headers["Content-Type"] = "application/json"
        if (content != null) headers["Content-Length"] = "${content.size}"
        if (!keepsAlive) headers["Connection"] = "close"
        writeHead(status, headers)
        if (content != null && request.method != "HEAD") output.write(content)
        output.flush()
    }

    /** Sends a line of a chunked reply; the first one begins it. */
    fun sendLine(line: ByteArray) {
        if (!streaming) {
            streaming = true
            writeHead(200, mapOf("Content-Type" to "application/x-ndjson", "Transfer-Encoding" to "chunked"))
        }
        output.write("${Integer.toHexString(line.size + 1)}\r\n".toByteArray())
        output.write(line)
        output.write("\n\r\n".toByteArray())
        output.flush()
    }

    /** Ends a chunked reply. */
    fun endLines() {
        output.write("0\r\n\r\n".toByteArray())
        output.flush()
        streaming = false
    }

    private fun writeHead(status: Int, headers: Map<String, String>) {
        val lines = headers.map { (name, value) -> "$name: $value\r\n" }.joinToString("")
        output.write("HTTP/1.1 $status ${REASONS[status] ?: "Status"}\r\n$lines\r\n".toByteArray())
        if (status == 100) output.flush()
    }

    /** Reads a line; null at the end of the stream. */
    private fun readLine(): String? {
        val line = StringBuilder()
        while (true) {
            val byte = input.read()
            if (byte < 0) return if (line.isEmpty()) null else throw EOFException("the head of a request ended early")
            if (byte == '\n'.code) return line.toString().removeSuffix("\r")
            if (line.length >= MAX_LINE_BYTES) throw EOFException("the head of a request is too long")
            line.append(byte.toChar())
        }
    }

    private fun query(text: String): Map<String, String> =
        text.split('&').filter { it.isNotEmpty() }.associate { it.substringBefore('=') to it.substringAfter('=', "") }

    /** Records when a write began, because Java's sockets have no time limit for writing. */
    private inner class TimedOutput : FilterOutputStream(socket.getOutputStream()) {
        override fun write(content: ByteArray, start: Int, count: Int) {
            sendingSince = System.nanoTime()
            try {
                out.write(content, start, count)
            } finally {
                sendingSince = null
            }
        }
    }

    private companion object {
        val LENGTH = Regex("\\d{1,18}")
    }
}
