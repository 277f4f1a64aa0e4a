package dev.mobiledet.core

import java.io.ByteArrayOutputStream
import java.io.File
import java.io.IOException
import java.io.OutputStream
import java.net.HttpURLConnection
import java.net.URL

private const val MAX_SIGNATURE_BYTES = 1024L
private const val TIMEOUT_MS = 30_000

/** Where an app gets new models from; throws [IOException] if the source cannot be read. */
public interface ModelSource {
    /** The content of the signature file. */
    public fun signature(): ByteArray

    /** Writes the zip to [target]; stops with an [IOException] when it has more than [bytes] bytes. */
    public fun download(target: File, bytes: Long)
}

/** A zip on a web server, with its signature at the same address and `.sig`. */
public class HttpModelSource(private val url: String) : ModelSource {
    override fun signature(): ByteArray = open("$url.sig") { connection ->
        val content = ByteArrayOutputStream()
        copy(connection, content, MAX_SIGNATURE_BYTES)
        content.toByteArray()
    }

    override fun download(target: File, bytes: Long) {
        open(url) { connection -> target.outputStream().use { copy(connection, it, bytes) } }
    }

    private fun <T> open(address: String, read: (HttpURLConnection) -> T): T {
        val connection = URL(address).openConnection() as HttpURLConnection
        try {
            connection.connectTimeout = TIMEOUT_MS
            connection.readTimeout = TIMEOUT_MS
            connection.useCaches = false
            if (connection.responseCode != HttpURLConnection.HTTP_OK) throw IOException("$address: the server says ${connection.responseCode}")
            return read(connection)
        } finally {
            connection.disconnect()
        }
    }

    private fun copy(connection: HttpURLConnection, target: OutputStream, limit: Long) {
        val buffer = ByteArray(1 shl 16)
        var left = limit
        connection.inputStream.use { source ->
            while (true) {
                val count = source.read(buffer)
                if (count < 0) return
                left -= count
                if (left < 0) throw IOException("${connection.url} has more than $limit bytes")
                target.write(buffer, 0, count)
            }
        }
    }
}

/** Looks for a newer model and installs it. Slow, so not on the main thread. */
public class ModelUpdate(private val store: ModelStore, private val source: ModelSource) {
    /**
     * Fetches the signature and, only if its release is newer than the model in use, the zip, and installs it.
     *
     * @param temporary a folder for the download, such as the app's cache.
     * @param gate as in [ModelStore.install].
     * @return the new model; null if there is no newer one.
     * @throws MobileDetException the source cannot be read, or as in [ModelStore.install].
     */
    public fun run(temporary: File, gate: (Bundle) -> Unit): Bundle? {
        try {
            val signature = source.signature()
            val signed = store.verify(signature)
            if (!store.isNewer(signed)) return null
            val zip = File.createTempFile("model", ".zip", temporary)
            try {
                source.download(zip, signed.bytes)
                return store.install(signature, zip, gate = gate)
            } finally {
                zip.delete()
            }
        } catch (error: IOException) {
            throw MobileDetException("the new model cannot be downloaded: ${error.message}", error)
        }
    }
}
