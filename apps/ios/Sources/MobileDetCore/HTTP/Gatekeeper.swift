import Foundation

/// Refuse requests that a web page of others has a browser send; see `apps/PROTOCOL.md`.
///
/// A page whose name has been made to lead to this device (DNS rebinding) is told by its name in `Host`, any other one
/// by its `Origin`.
///
/// - Throws: `Refusal` when the request is not meant for this device, or not from its own page.
func refuseForeign(hosts: [String], origins: [String]) throws {
    guard hosts.count == 1, isOwn(hosts[0].lowercased()) else {
        throw Refusal(421, "wrong_host", "Host is none of this device's names; use its address or localhost")
    }
    let host = hosts[0].lowercased()
    guard origins.allSatisfy({ ["http://\(host)", "https://\(host)"].contains($0.lowercased()) }) else {
        throw Refusal(403, "wrong_origin", "requests of other pages are not served")
    }
}

/// Whether a host is an address, which no name can be made to look like, or the name of the loopback interface.
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

/// Whether a text is four numbers of a byte with points between them.
private func isAddress(_ name: Substring) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8($0).map(String.init) == String($0) }
}
