package dev.mobiledet.core.agent

import com.fasterxml.jackson.databind.ObjectMapper
import com.networknt.schema.JsonSchemaFactory
import com.networknt.schema.SpecVersion
import dev.mobiledet.core.Bundle
import dev.mobiledet.core.Interruption
import dev.mobiledet.core.Vectors
import java.io.File
import java.util.UUID
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class AgentTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val good = File(Vectors.bundles, "good.zip").readBytes()
    private val sha256 = Bundle.open(File(Vectors.bundles, "good")).sha256
    private val golden = Bundle.open(File(Vectors.bundles, "good")).let { it.golden(it.select()).cases.map { case -> case.content } }
    private lateinit var device: ReplayDevice
    private lateinit var server: AgentServer

    @Before
    fun start() {
        device = ReplayDevice(File(Vectors.folder, "recordings.json"))
        server = AgentServer(Agent(device, temporary.root, Limits(1_000_000, 100_000, 2, 600, 5)), TOKEN)
    }

    @After
    fun stop() = server.close()

    private fun send(method: String, path: String, body: ByteArray = ByteArray(0), auth: String = "Bearer $TOKEN") =
        Client(server.port).use { it.send(method, path, body, auth) }

    private fun openSession(file: String = "model.float32.tflite", key: String = UUID.randomUUID().toString()): String {
        send("PUT", "/v1/bundles/$sha256", good)
        val request = """{"key":"$key","bundle":"$sha256","file":"$file","accelerator":"auto","threads":1}"""
        val reply = send("POST", "/v1/sessions", request.toByteArray())
        assertEquals(String(reply.body), 201, reply.status)
        assertSchema("SessionInfo", reply.body)
        return "/v1/sessions/${reply.json.get("id").asString}"
    }

    private fun trustedSession() = openSession().also { assertEquals(200, send("POST", "$it/golden").status) }

    private fun plan(runs: Int, seconds: Double) = """{"warmup_runs":1,"warmup_seconds":0,"warmup_limit_seconds":0,""" +
        """"runs":$runs,"seconds":$seconds,"fps":0,"state_seconds":0}"""

    private fun bench(session: String, plan: String) =
        send("POST", "$session/bench", """{"key":"${UUID.randomUUID()}","plan":$plan}""".toByteArray())

    private fun batch(vararg images: ByteArray) = images.fold(ByteArray(0)) { all, image ->
        all + ByteArray(4) { (image.size shr (24 - 8 * it)).toByte() } + image
    }

    private fun assertSchema(kind: String, content: ByteArray) {
        val schema = File(Vectors.folder.parentFile, "protocol/messages.schema.json").readText()
            .replaceFirst("{", """{"${'$'}ref": "#/${'$'}defs/$kind",""")
        val factory = JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012)
        val problems = factory.getSchema(schema).validate(ObjectMapper().readTree(content))
        assertTrue("$kind ${String(content)}: $problems", problems.isEmpty())
    }

    @Test
    fun exchangesAnswerAsTheVectorsSay() {
        for (case in Vectors.cases("exchanges")) {
            val body = case.get("file")?.let { File(Vectors.bundles, it.asString).readBytes() }
                ?: case.get("text")?.asString.orEmpty().toByteArray()
            val auth = case.get("auth").asString.replace("TOKEN", TOKEN)
            val reply = send(case.get("method").asString, case.get("path").asString, body, auth)
            assertEquals("$case ${String(reply.body)}", case.get("status").asInt, reply.status)
            if (reply.status >= 400) {
                assertEquals("$case", case.get("code").asString, reply.code)
                assertSchema("ErrorMessage", reply.body)
            } else if (case.get("kind").asString.isNotEmpty()) {
                assertSchema(case.get("kind").asString, reply.body)
            }
        }
        assertEquals(emptyList<String>(), temporary.root.walk().map { it.name }.filter { "escaped" in it }.toList())
        assertEquals("nothing stays of refused uploads", 0, temporary.root.list()!!.size)
    }

    @Test
    fun goldenInputsComeBackAsRecorded() {
        val session = openSession()
        for (endpoint in listOf("images", "tensor", "bench")) {
            val body = if (endpoint == "bench") """{"key":"k","plan":${plan(1, 0.0)}}""".toByteArray() else golden[0]
            assertEquals("golden_required", send("POST", "$session/$endpoint", body).code)
        }
        val report = send("POST", "$session/golden")
        assertSchema("GoldenReport", report.body)
        assertEquals(3, report.json.get("cases").asInt)
        val reply = send("POST", "$session/tensor", golden[0] + golden[1])
        assertTrue(reply.isWhole)
        assertEquals(2, reply.lines.size)
        reply.lines.forEach { assertSchema("FoundLine", it.toString().toByteArray()) }
        val boxes = Vectors.floats(reply.lines[0].get("boxes"))
        assertArrayEquals(floatArrayOf(0.25f, 0.125f, 0.75f, 0.5f, 0f, 0f, 0.4f, 0.3f), boxes, 1e-6f)
        assertEquals(listOf(1, 0), Vectors.ints(reply.lines[0].get("labels")).toList())
        assertEquals(0, reply.lines[0].getAsJsonObject("times").get("decode").asInt)
    }

    @Test
    fun undecodableImagesAreReportedInTheirLine() {
        val reply = send("POST", "${trustedSession()}/images", batch("no picture".toByteArray(), ByteArray(0)))
        assertEquals(listOf(0, 1), reply.lines.map { it.get("index").asInt })
        reply.lines.forEach { line ->
            assertTrue(line.get("problem").asString.isNotEmpty())
            assertTrue(line.get("times").isJsonNull)
            assertSchema("FoundLine", line.toString().toByteArray())
        }
    }

    @Test
    fun aRuntimeThatFailsEndsTheLines() {
        val session = trustedSession()
        device.failsAfterRuns = 4 // three of them were the golden gate's
        val reply = send("POST", "$session/tensor", golden[0] + golden[1] + golden[0])
        assertTrue(reply.isWhole)
        assertEquals(listOf("index", "error"), reply.lines.map { it.keySet().first() })
        assertEquals("refused", reply.lines.last().get("code").asString)
        assertSchema("ErrorMessage", reply.lines.last().toString().toByteArray())
    }

    @Test
    fun zerosFailTheGateAndEndTheTrust() {
        val session = trustedSession()
        device.givesZeros = true
        assertEquals("golden_failed", send("POST", "$session/golden").code)
        assertEquals("golden_required", send("POST", "$session/tensor", golden[0]).code)
    }

    @Test
    fun aBenchmarkGivesItsSamples() {
        device.runNs = 2_000_000
        val job = bench(trustedSession(), plan(20, 0.05))
        assertEquals(202, job.status)
        val done = send("GET", "/v1/jobs/${job.json.get("id").asString}?wait=5")
        assertSchema("JobInfo", done.body)
        assertEquals(String(done.body), "done", done.json.get("status").asString)
        val samples = done.json.getAsJsonObject("samples")
        val times = samples.getAsJsonArray("infer_ns").map { it.asLong }
        assertTrue("$times", times.size >= 20 && times.all { it >= 2_000_000 })
        assertEquals(3, samples.getAsJsonArray("cold_starts").size())
    }

    @Test
    fun theBackgroundFailsJobsAndRefusesWork() {
        device.runNs = 2_000_000
        val session = trustedSession()
        val id = bench(session, plan(1, 60.0)).json.get("id").asString
        device.interruption = Interruption("background", "the app is not in the foreground")
        val failed = send("GET", "/v1/jobs/$id?wait=5")
        assertSchema("JobInfo", failed.body)
        assertEquals("failed", failed.json.get("status").asString)
        assertEquals("background", failed.json.getAsJsonObject("error").get("code").asString)
        assertEquals(409, send("POST", "$session/golden").status)
        assertEquals("background", send("POST", "$session/tensor", golden[0]).code)
        assertEquals(false, send("GET", "/v1/state").json.get("foreground").asBoolean)
        device.interruption = null
        assertEquals(200, send("POST", "$session/golden").status)
    }

    @Test
    fun aClosedSessionCancelsItsJobAndFreesItsModel() {
        device.runNs = 2_000_000
        val session = trustedSession()
        assertEquals(1, device.openModels)
        bench(session, plan(1, 60.0))
        assertEquals(204, send("DELETE", session).status)
        assertEquals("unknown_session", send("DELETE", session).code)
        val end = System.nanoTime() + 5_000_000_000
        while (device.openModels > 0 && System.nanoTime() < end) Thread.sleep(10)
        assertEquals(0, device.openModels)
    }

    @Test
    fun aRemovedBundleServesItsSessionsToTheEnd() {
        val session = trustedSession()
        assertEquals(204, send("DELETE", "/v1/bundles/$sha256").status)
        assertEquals("unknown_bundle", send("GET", "/v1/bundles/$sha256").code)
        assertEquals(200, send("POST", "$session/golden").status)
        assertEquals(204, send("DELETE", session).status)
        val end = System.nanoTime() + 5_000_000_000
        while (temporary.root.list()!!.isNotEmpty() && System.nanoTime() < end) Thread.sleep(10)
        assertEquals(0, temporary.root.list()!!.size)
        assertEquals(201, send("PUT", "/v1/bundles/$sha256", good).status)
    }

    @Test
    fun sessionsAreLimited() {
        openSession()
        openSession()
        val request = """{"key":"third","bundle":"$sha256","file":"float32","accelerator":"auto","threads":1}"""
        assertEquals("too_many_sessions", send("POST", "/v1/sessions", request.toByteArray()).code)
    }

    @Test
    fun aKeyBelongsToOneRequest() {
        val first = openSession(key = "the same key")
        assertEquals(first, openSession(key = "the same key"))
        val request = """{"key":"the same key","bundle":"$sha256","file":"float32","accelerator":"auto","threads":7}"""
        assertEquals("key_reused", send("POST", "/v1/sessions", request.toByteArray()).code)
    }

    @Test
    fun aFileOfAnotherPlatformIsRefused() {
        send("PUT", "/v1/bundles/$sha256", good)
        val request = """{"key":"k","bundle":"$sha256","file":"model.float16.mlpackage","accelerator":"auto","threads":1}"""
        val reply = send("POST", "/v1/sessions", request.toByteArray())
        assertEquals(422, reply.status)
        assertTrue("coreml" in reply.json.get("error").asString)
    }

    @Test
    fun aConnectionServesManyRequests() = Client(server.port).use { client ->
        repeat(3) { assertEquals(200, client.send("GET", "/v1/info").status) }
        assertEquals(400, client.send("GET", "/v1/bundles/x").status)
        assertEquals(200, client.send("GET", "/v1/state").status)
    }

    @Test
    fun bodiesWithoutAValidLengthAreRefusedUnread() {
        val head = "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $TOKEN\r\n"
        for ((headers, status) in mapOf(
            "" to 411, "Transfer-Encoding: chunked\r\n" to 411, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" to 411,
            "Content-Length: -1\r\n" to 411, "Content-Length: 5x\r\n" to 411, "Content-Length: 65537\r\n" to 413,
            "Content-Length: 5\r\nContent-Length: 6\r\n" to 400, "Content-Length : 5\r\n" to 400,
            "Content-Length: 5\r\nContent-Length: 5\r\n" to 400, "Content-Length: 0\r\ncontent-length: 5\r\n" to 400,
        )) {
            Client(server.port).use { client ->
                client.sendRaw("$head$headers\r\n".toByteArray())
                assertEquals(headers, status, client.receive().status)
                if (headers.isNotEmpty()) assertTrue(headers, client.isClosed())
            }
        }
    }

    @Test
    fun aLargeUploadIsRefusedBeforeItIsSent() = Client(server.port).use { client ->
        client.sendRaw(
            "PUT /v1/bundles/$sha256 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $TOKEN\r\nContent-Length: 1000001\r\n\r\n".toByteArray(),
        )
        assertEquals("too_large", client.receive().code)
    }

    @Test
    fun aCutUploadLeavesNothing() {
        Client(server.port).use { client ->
            val head = "PUT /v1/bundles/$sha256 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $TOKEN\r\nContent-Length: ${good.size}\r\n\r\n"
            client.sendRaw(head.toByteArray() + good.copyOf(good.size / 2))
        }
        val end = System.nanoTime() + 5_000_000_000
        while (temporary.root.list()!!.isNotEmpty() && System.nanoTime() < end) Thread.sleep(10)
        assertEquals(0, temporary.root.list()!!.size)
        assertEquals("unknown_bundle", send("GET", "/v1/bundles/$sha256").code)
    }

    @Test
    fun malformedRequestsDoNoHarm() {
        for (nonsense in listOf("", "\r\n", "GET\r\n\r\n", "\u0000".repeat(100), "GET / HTTP/1.1\r\n" + "A: b\r\n".repeat(200), "x".repeat(20_000))) {
            Client(server.port).use { it.sendRaw(nonsense.toByteArray()) }
        }
        assertEquals(200, send("GET", "/v1/info").status)
    }

    @Test
    fun tokensAreLongAndNew() {
        assertThrows(IllegalArgumentException::class.java) {
            AgentServer(Agent(device, temporary.root), "short").close()
        }
        val token = AgentServer.newToken()
        assertTrue(token.length >= 32)
        assertFalse(token == AgentServer.newToken())
    }

    @Test
    fun whatAKilledAgentLeftBehindIsRemoved() {
        val folder = temporary.newFolder("store")
        File(folder, ".half.zip").writeText("half")
        Agent(device, folder).close()
        assertEquals(0, folder.list()!!.size)
    }
}
