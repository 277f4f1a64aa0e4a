package dev.mobiledet.core

import com.google.gson.JsonObject
import com.sun.net.httpserver.HttpServer
import java.io.File
import java.net.InetSocketAddress
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class ModelStoreTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Test
    fun signaturesAreVerified() {
        for (case in Vectors.cases("signatures")) {
            val name = case.get("name").asString
            val text = if (case.has("text")) case.get("text").asString.toByteArray() else Vectors.bytes(case.get("base64"))
            val verify = { SignatureVerifier(texts(case, "keys")).verify(text) }
            if (!case.get("accepted").asBoolean) {
                val error = assertThrows(name, MobileDetException::class.java) { verify() }
                assertTrue("$name: ${error.message}", case.get("problem").asString in error.message)
                continue
            }
            val signed = case.getAsJsonObject("signed")
            val expected = SignedFile(signed.get("release").asLong, signed.get("bytes").asLong, signed.get("sha256").asString)
            assertEquals(name, expected, verify())
        }
    }

    @Test
    fun aStoreFollowsTheSteps() {
        Vectors.cases("model_store").forEachIndexed { number, case ->
            val folder = File(temporary.root, "store $number")
            val store = ModelStore(folder, texts(case, "keys"), case.get("built_in").asLong)
            case.getAsJsonArray("steps").map { it.asJsonObject }.forEachIndexed { place, step ->
                val name = "${case.get("name").asString}, step $place"
                val problem = step.get("problem")?.takeIf { !it.isJsonNull }?.asString
                if (step.get("action").asString == "rollback") store.rollback()
                else if (problem == null) install(store, step)
                else {
                    val error = assertThrows(name, MobileDetException::class.java) { install(store, step) }
                    assertTrue("$name: ${error.message}", problem in error.message)
                }
                assertEquals(name, release(step, "current"), store.current()?.release)
                assertEquals(name, release(step, "previous"), store.previous()?.release)
                val kept = listOfNotNull(store.current(), store.previous()).map { it.folder.name }
                assertEquals(name, kept.toSet(), folder.list().orEmpty().toSet() - "current")
                assertEquals(name, store.current()?.folder, store.open()?.root)
            }
        }
    }

    @Test
    fun aDamagedListMeansTheBuiltInModel() {
        val store = installed()
        for (text in listOf("", "\n", "1-abc\n", "../x\n")) {
            File(temporary.root, "store/current").writeText(text)
            assertNull(text, store.current())
        }
        installed()
    }

    @Test
    fun aDamagedModelIsNoticedAndCanBeRemoved() {
        val store = installed()
        File(store.current()!!.folder, "labels.txt").appendText("x")
        assertThrows(MobileDetException::class.java) { store.open() }
        store.clear()
        assertNull(store.open())
        installed()
    }

    @Test
    fun anUpdateDownloadsOnlyWhatIsNewer() {
        val steps = Vectors.cases("model_store").first().getAsJsonArray("steps").map { it.asJsonObject }
        var served = steps[1]
        val requests = mutableListOf<String>()
        val server = HttpServer.create(InetSocketAddress("127.0.0.1", 0), 0)
        server.createContext("/") { exchange ->
            requests += exchange.requestURI.path
            val content = when (exchange.requestURI.path) {
                "/x.zip.sig" -> served.get("signature").asString.toByteArray()
                "/x.zip" -> File(Vectors.bundles, served.get("file").asString).readBytes()
                "/long.zip.sig" -> ByteArray(2000)
                else -> ByteArray(0)
            }
            exchange.sendResponseHeaders(if (content.isEmpty()) 404 else 200, content.size.toLong())
            exchange.responseBody.use { it.write(content) }
        }
        server.start()
        try {
            val address = "http://127.0.0.1:${server.address.port}"
            val store = ModelStore(File(temporary.root, "updated"), texts(Vectors.cases("model_store").first(), "keys"))
            val update = { name: String -> ModelUpdate(store, HttpModelSource("$address/$name")).run(temporary.newFolder()) {} }
            assertEquals(Bundle.open(store.apply { update("x.zip") }.current()!!.folder).sha256, store.open()!!.sha256)
            assertEquals(2L, store.current()!!.release)
            assertNull(update("x.zip"))
            served = steps[0]
            assertNull(update("x.zip"))
            assertEquals(listOf("/x.zip.sig", "/x.zip", "/x.zip.sig", "/x.zip.sig"), requests)
            for ((name, problem) in listOf("absent.zip" to "404", "long.zip" to "more than 1024 bytes")) {
                val error = assertThrows(MobileDetException::class.java) { update(name) }
                assertTrue(error.message, problem in error.message)
            }
            assertEquals(2L, store.current()!!.release)
            assertFalse(File(temporary.root, "updated").list()!!.any { it.endsWith(".zip") })
        } finally {
            server.stop(0)
        }
    }

    private fun installed(): ModelStore {
        val case = Vectors.cases("model_store").first()
        val store = ModelStore(File(temporary.root, "store"), texts(case, "keys"))
        install(store, case.getAsJsonArray("steps")[0].asJsonObject)
        return store
    }

    private fun install(store: ModelStore, step: JsonObject): Bundle {
        val zip = File(Vectors.bundles, step.get("file").asString)
        return store.install(step.get("signature").asString.toByteArray(), zip, step.get("allow_older").asBoolean) { bundle ->
            bundle.golden(bundle.select())
            if (!step.get("gate").asBoolean) throw MobileDetException("the golden cases differ")
        }
    }

    private fun release(step: JsonObject, name: String): Long? = step.get(name).takeIf { !it.isJsonNull }?.asLong

    private fun texts(case: JsonObject, name: String): List<String> = case.getAsJsonArray(name).map { it.asString }
}
