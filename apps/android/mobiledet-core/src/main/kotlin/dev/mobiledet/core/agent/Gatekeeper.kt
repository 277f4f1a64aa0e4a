package dev.mobiledet.core.agent

private const val MAX_PORT = 65_535
private val HOST = Regex("(\\[[0-9a-f:.]+]|[0-9a-z._-]+?)\\.?(?::(\\d{0,5}))?")
private val ADDRESS = Regex("((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(?!$)|$)){4}")

/** Recognises requests that a browser sends on behalf of another site; see apps/PROTOCOL.md. */
internal object Gatekeeper {
    /**
     * Refuses requests from other sites: a site whose name was made to resolve to this device (DNS rebinding) is recognised
     * by its name in Host, any other one by its Origin.
     */
    fun refuseForeign(hosts: List<String>, origins: List<String>) {
        val host = hosts.singleOrNull()?.lowercase()
        if (host == null || !isOwn(host)) {
            throw Refusal(421, "wrong_host", "Host is not a name of this device; use its address or localhost")
        }
        if (origins.any { it.lowercase() != "http://$host" && it.lowercase() != "https://$host" }) {
            throw Refusal(403, "wrong_origin", "requests from other pages are not served")
        }
    }

    /** Whether a host is a numeric address or localhost, neither of which another site's name can be. */
    private fun isOwn(host: String): Boolean {
        val (name, port) = HOST.matchEntire(host)?.destructured ?: return false
        if (port.isNotEmpty() && port.toInt() > MAX_PORT) return false
        return name.startsWith('[') || name == "localhost" || ADDRESS.matches(name)
    }
}
