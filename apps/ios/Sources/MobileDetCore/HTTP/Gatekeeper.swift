import Foundation

/// Refuse requests that a browser sends on behalf of another site; see `apps/PROTOCOL.md`.
///
/// A site whose name was made to resolve to this device (DNS rebinding) is recognised by its name in `Host`, any other one
/// by its `Origin`.
///
/// - Throws: `Refusal` if the request is addressed to another host, or comes from another site.
func refuseForeign(hosts: [String], origins: [String]) throws {
    guard hosts.count == 1, isOwn(hosts[0].lowercased()) else {
        throw Refusal(421, "wrong_host", "Host is not a name of this device; use its address or localhost")
    }
    let host = hosts[0].lowercased()
    guard origins.allSatisfy({ ["http://\(host)", "https://\(host)"].contains($0.lowercased()) }) else {
        throw Refusal(403, "wrong_origin", "requests from other pages are not served")
    }
}

/// Whether a host is a numeric address or localhost, neither of which another site's name can be.
private func isOwn(_ host: String) -> Bool {
    var name = Substring(host), port = Substring()
    if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
        (name, port) = (host[..<colon], host[host.index(after: colon)...])
    }
    guard port.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return false }
    guard port.isEmpty || UInt16(port) != nil else { return false }
    if name.hasPrefix("["), name.hasSuffix("]") {
        let address = name.dropFirst().dropLast().utf8
        return !address.isEmpty && address.allSatisfy("0123456789abcdef:.".utf8.contains)
    }
    if name.hasSuffix(".") { name = name.dropLast() }
    return name == "localhost" || isAddress(name)
}

/// Whether a text is an IPv4 address.
private func isAddress(_ name: Substring) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8($0).map(String.init) == String($0) }
}
