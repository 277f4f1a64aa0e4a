package dev.mobiledet.core.agent

import com.google.gson.JsonObject
import java.io.Closeable
import java.io.EOFException
import java.io.File
import java.io.IOException
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.ServerSocket
import java.net.Socket
import java.net.SocketException
import java.net.SocketTimeoutException
import java.security.MessageDigest
import java.security.SecureRandom
import java.util.Collections
import java.util.concurrent.Semaphore
import java.util.logging.Level
import java.util.logging.Logger
import kotlin.concurrent.thread

private const val MIN_TOKEN_LENGTH = 16
private const val JSON_BODY_BYTES = 64L shl 10
private const val SOCKET_MILLISECONDS = 60_000
private const val MAX_CONNECTIONS = 16
private const val AUTHENTICATION_NS = 5_000_000_000 // time limit for authentication
private const val POLL_MILLISECONDS = 250L
private const val TOKEN_BYTES = 18
private val NUMBER = Regex("\\d{1,9}(\\.\\d{1,9})?")

/**
 * Serves an agent over HTTP to clients that know the token, on 127.0.0.1 only.
 *
 * @param port port to listen on; 0 chooses a free one.
 * @throws IllegalArgumentException the token is shorter than 16 characters or contains other than visible ASCII characters.
 * @throws java.io.IOException the port is in use.
 */
public class AgentServer(private val agent: Agent, token: String, port: Int = 0) : Closeable {
    private class Route(val method: String, val pattern: Regex, val serve: AgentServer.(Exchange) -> Unit)

    private class Exchange(val connection: HttpConnection, val request: HttpRequest, val name: String)

    private val expected: ByteArray
    private val socket = ServerSocket()
    private val open = Collections.synchronizedSet(HashSet<HttpConnection>())
    private val slots = Semaphore(MAX_CONNECTIONS)

    /** The port on which it listens. */
    public val port: Int

    init {
        require(token.length >= MIN_TOKEN_LENGTH && token.all { it in '!'..'~' }) {
            "the token must have at least $MIN_TOKEN_LENGTH ASCII characters, without spaces"
        }
        expected = "Bearer $token".toByteArray()
        socket.reuseAddress = true
        socket.bind(InetSocketAddress(InetAddress.getByAddress(byteArrayOf(127, 0, 0, 1)), port))
        this.port = socket.localPort
        thread(name = "mobiledet-agent", isDaemon = true) { accept() }
        thread(name = "mobiledet-watchdog", isDaemon = true) { watch() }
    }

    /** Stops listening, closes all connections and stops all work. */
    override fun close() {
        socket.close()
        connections().forEach { it.close() }
        agent.close()
    }

    private fun connections() = synchronized(open) { open.toList() }

    /** Drops connections that do not authenticate in time or do not read their replies. */
    private fun watch() {
        while (!socket.isClosed) {
            connections().filter { it.unauthenticatedNs() > AUTHENTICATION_NS || it.isStuck() }.forEach { it.close() }
            Thread.sleep(POLL_MILLISECONDS)
        }
    }

    private fun accept() {
        while (!socket.isClosed) {
            val client = try {
                socket.accept()
            } catch (_: IOException) {
                Thread.sleep(POLL_MILLISECONDS) // the system may be out of connections for the moment
                continue
            }
            if (!slots.tryAcquire()) { // drop the oldest unauthenticated connection
                connections().filter { !it.isAuthenticated }.maxByOrNull { it.unauthenticatedNs() }?.close()
                slots.acquire()
            }
            thread(name = "mobiledet-connection", isDaemon = true) {
                try {
                    client.use { serve(it) }
                } catch (_: IOException) { // the host has disconnected
                } finally {
                    slots.release()
                }
            }
        }
    }

    private fun serve(client: Socket) {
        client.tcpNoDelay = true
        client.soTimeout = SOCKET_MILLISECONDS
        val connection = HttpConnection(client)
        open += connection
        try {
            if (socket.isClosed) return
            do {
                val request = connection.next() ?: return
                answer(connection, request)
            } while (connection.keepsAlive)
            finish(client)
        } finally {
            open -= connection
        }
    }

    /** Lets a client that is still sending read the refusal; closing at once would reset its connection. */
    private fun finish(client: Socket) {
        client.soTimeout = 1_000
        client.shutdownOutput()
        val block = ByteArray(1 shl 16)
        val end = System.nanoTime() + 2_000_000_000
        do {
            val count = client.getInputStream().read(block)
        } while (count >= 0 && System.nanoTime() < end)
    }

    private fun answer(connection: HttpConnection, request: HttpRequest) {
        try {
            if (request.all("content-length").size > 1) throw Refusal.badRequest("Content-Length is given more than once")
            if (!request.isValid) throw Refusal.badRequest("the head of the request is not HTTP/1.1")
            Gatekeeper.refuseForeign(request.all("host"), request.all("origin"))
            checkToken(request)
            connection.isAuthenticated = true
            route(connection, request)
        } catch (refusal: Refusal) {
            connection.reply(request, refusal.status, json(Sent.error(refusal)))
        } catch (error: SocketException) {
            throw error
        } catch (error: Throwable) {
            if (error is IOException && isConnectionLost(error)) throw error
            // a chunked reply without its end tells the host that something is wrong
            if (connection.isStreaming) throw IOException(error)
            LOGGER.log(Level.SEVERE, "${request.method} ${request.path}", error)
            val refusal = refusalOf(error)
            connection.reply(request, refusal.status, json(Sent.error(refusal)))
        }
    }

    private fun isConnectionLost(error: IOException) = error is EOFException || error is SocketTimeoutException

    private fun refusalOf(error: Throwable): Refusal = when {
        error.isStorageFull -> Refusal(507, "no_space", "the device's storage is full")
        error is OutOfMemoryError -> Refusal(413, "too_large", "the device has no memory for this request")
        else -> Refusal(500, "internal", "the agent failed: ${error.javaClass.simpleName}")
    }

    private fun checkToken(request: HttpRequest) {
        val given = request.header("authorization").toByteArray(Charsets.ISO_8859_1)
        if (!MessageDigest.isEqual(given, expected)) throw Refusal(401, "unauthorized", "the token is missing or wrong")
    }

    private fun route(connection: HttpConnection, request: HttpRequest) {
        var known = false
        for (route in ROUTES) {
            val match = route.pattern.matchEntire(request.path) ?: continue
            if (route.method == request.method) {
                return route.serve(this, Exchange(connection, request, match.groupValues.getOrElse(1) { "" }))
            }
            known = true
        }
        val path = request.path.take(80)
        if (known) throw Refusal(405, "method_not_allowed", "$path has no ${request.method.take(20)}")
        throw Refusal(404, "unknown_endpoint", "there is no $path in version $PROTOCOL of the protocol")
    }

    private fun reply(exchange: Exchange, message: JsonObject?, status: Int = 200) =
        exchange.connection.reply(exchange.request, status, message?.let(::json))

    private fun addBundle(exchange: Exchange) {
        val (info, isNew) = agent.addBundle(exchange.name) { zip -> receive(exchange, zip) }
        reply(exchange, info, if (isNew) 201 else 200)
    }

    private fun receive(exchange: Exchange, zip: File) = zip.outputStream().use { out ->
        exchange.connection.readBody(exchange.request, agent.limits.bodyBytes) { block, count -> out.write(block, 0, count) }
    }

    private fun images(exchange: Exchange) {
        val applyOrientation = option(exchange, "orientation", 1.0) == 1.0
        val batch = exchange.connection.readBody(exchange.request, agent.limits.bodyBytes)
        agent.images(exchange.name, batch, applyOrientation) { exchange.connection.sendLine(json(it)) }
        exchange.connection.endLines()
    }

    private fun tensor(exchange: Exchange) {
        val batch = exchange.connection.readBody(exchange.request, agent.limits.bodyBytes)
        agent.tensor(exchange.name, batch) { exchange.connection.sendLine(json(it)) }
        exchange.connection.endLines()
    }

    private fun <T> message(exchange: Exchange, decode: (ByteArray) -> T): T {
        val content = exchange.connection.readBody(exchange.request, JSON_BODY_BYTES)
        try {
            return decode(content)
        } catch (error: IllegalArgumentException) {
            throw Refusal.badRequest("the body is not a valid message: ${error.message}")
        }
    }

    /** A number in the query, at most [max]; 0 if it is missing. */
    private fun option(exchange: Exchange, name: String, max: Double): Double {
        val text = exchange.request.query[name] ?: return 0.0
        return text.takeIf { NUMBER.matches(it) }?.toDouble()?.takeIf { it <= max }
            ?: throw Refusal.badRequest("$name='${text.take(40)}' is not a valid number")
    }

    public companion object {
        private val LOGGER = Logger.getLogger("mobiledet")
        private const val NAME = "([^/]+)"

        private val ROUTES = listOf(
            Route("GET", Regex("/v1/info")) { reply(it, agent.info()) },
            Route("GET", Regex("/v1/state")) { reply(it, agent.state()) },
            Route("GET", Regex("/v1/bundles/$NAME")) { reply(it, agent.bundle(it.name)) },
            Route("PUT", Regex("/v1/bundles/$NAME")) { addBundle(it) },
            Route("DELETE", Regex("/v1/bundles/$NAME")) { agent.removeBundle(it.name); reply(it, null, 204) },
            Route("POST", Regex("/v1/sessions")) { reply(it, agent.openSession(message(it, Received::sessionRequest)), 201) },
            Route("DELETE", Regex("/v1/sessions/$NAME")) { agent.closeSession(it.name); reply(it, null, 204) },
            Route("POST", Regex("/v1/sessions/$NAME/golden")) { reply(it, agent.golden(it.name)) },
            Route("POST", Regex("/v1/sessions/$NAME/images")) { images(it) },
            Route("POST", Regex("/v1/sessions/$NAME/tensor")) { tensor(it) },
            Route("POST", Regex("/v1/sessions/$NAME/bench")) {
                reply(it, agent.bench(it.name, message(it, Received::benchRequest)), 202)
            },
            Route("GET", Regex("/v1/jobs/$NAME")) { reply(it, agent.job(it.name, option(it, "wait", 1e9))) },
            Route("DELETE", Regex("/v1/jobs/$NAME")) { reply(it, agent.cancel(it.name)) },
        )

        private fun json(message: JsonObject): ByteArray = message.toString().toByteArray()

        /** Generates a random token for an agent. */
        @JvmStatic
        public fun newToken(): String {
            val bytes = ByteArray(TOKEN_BYTES).also { SecureRandom().nextBytes(it) }
            return bytes.joinToString("") { "%02x".format(it) }
        }
    }
}
