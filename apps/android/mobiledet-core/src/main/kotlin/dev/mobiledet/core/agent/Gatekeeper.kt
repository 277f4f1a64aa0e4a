package dev.mobiledet.core.agent

private const val MOST_PORT = 65_535
private val HOST = Regex("(\\[[0-9a-f:.]+]|[0-9a-z._-]+?)\\.?(?::(\\d{0,5}))?")
private val ADDRESS = Regex("((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(?!$)|$)){4}")

/** Tells apart requests that a web page of others has a browser send; see apps/PROTOCOL.md. */
internal object Gatekeeper {
    /**
     * Refuses a request that is not addressed to this device: a page whose name has been made to lead here (DNS
     * rebinding) is told by its name in Host, any other page by its Origin.
     */
    fun refuseForeign(hosts: List<String>, origins: List<String>) {
        val host = hosts.singleOrNull()?.lowercase()
        if (host == null || !isOwn(host)) {
            throw Refusal(421, "wrong_host", "Host is none of this device's names; use its address or localhost")
        }
        if (origins.any { it.lowercase() != "http://$host" && it.lowercase() != "https://$host" }) {
            throw Refusal(403, "wrong_origin", "requests of other pages are not served")
        }
    }

    /** An address, which no name can be made to look like, or the one name of a server on the loopback interface. */
    private fun isOwn(host: String): Boolean {
        val (name, port) = HOST.matchEntire(host)?.destructured ?: return false
        if (port.isNotEmpty() && port.toInt() > MOST_PORT) return false
        return name.startsWith('[') || name == "localhost" || ADDRESS.matches(name)
    }
}
