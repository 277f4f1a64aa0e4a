package dev.mobiledet.core.agent

import dev.mobiledet.core.Vectors
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class GatekeeperTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun refusal(hosts: List<String>, origins: List<String> = emptyList()) =
        assertThrows("$hosts $origins", Refusal::class.java) { Gatekeeper.refuseForeign(hosts, origins) }

    @Test
    fun addressesAndLocalhostAreAccepted() {
        for (host in listOf("127.0.0.1", "127.0.0.1:80", "localhost:1", "LocalHost.", "localhost.:8", "[::1]:80", "10.0.0.7", "localhost:")) {
            Gatekeeper.refuseForeign(listOf(host), emptyList())
            Gatekeeper.refuseForeign(listOf(host), listOf("http://$host"))
        }
    }

    @Test
    fun dnsRebindingIsRefused() {
        for (host in listOf(
            "evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "", "a@localhost", "1.2.3",
            "1.2.3.4.5", "256.0.0.1", "localhost:65536", "localhost:x", "localhost/", "[evil.example]", "localhost..", ":80",
        )) {
            assertEquals(host, "wrong_host", refusal(listOf(host)).code)
        }
        assertEquals(421, refusal(emptyList()).status)
        assertEquals(421, refusal(listOf("localhost", "localhost")).status)
    }

    @Test
    fun requestsOfOtherPagesAreRefused() {
        for (origin in listOf("http://evil.example", "null", "", "http://localhost:1", "http://localhost", "file://")) {
            assertEquals(origin, "wrong_origin", refusal(listOf("localhost:2"), listOf(origin)).code)
        }
        assertEquals(403, refusal(listOf("localhost"), listOf("http://localhost", "http://evil.example")).status)
    }

    @Test
    fun hostAndOriginAreCheckedBeforeTheToken() {
        val agent = Agent(ReplayDevice(File(Vectors.folder, "recordings.json")), temporary.root)
        AgentServer(agent, TOKEN).use { server ->
            for (token in listOf(TOKEN, "wrong")) {
                for ((headers, status) in mapOf(
                    "Host: evil.example\r\n" to 421, "" to 421, "Host: localhost\r\nHost: localhost\r\n" to 421,
                    "Host: localhost\r\nOrigin: http://evil.example\r\n" to 403,
                    "Host: localhost\r\nOrigin: http://localhost\r\n" to if (token == TOKEN) 200 else 401,
                )) {
                    Client(server.port).use { client ->
                        client.sendRaw("GET /v1/info HTTP/1.1\r\n${headers}Authorization: Bearer $token\r\n\r\n".toByteArray())
                        assertEquals(headers, status, client.receive().status)
                    }
                }
            }
        }
    }

    @Test
    fun unauthenticatedConnectionsAreDropped() {
        val agent = Agent(ReplayDevice(File(Vectors.folder, "recordings.json")), temporary.root)
        AgentServer(agent, TOKEN).use { server ->
            val idle = List(40) { Client(server.port) }
            val started = System.nanoTime()
            Client(server.port).use { assertEquals(200, it.send("GET", "/v1/info").status) }
            assertTrue(System.nanoTime() - started < 4_000_000_000)
            idle.forEach { assertTrue(it.isClosed()) }
            assertTrue(System.nanoTime() - started < 15_000_000_000)
            idle.forEach { it.close() }
        }
    }
}
