import Foundation
import XCTest

@testable import MobileDetCore

/// A client that sends requests as they are written, good or bad, each on a connection of its own.
struct TestClient {
    let port: UInt16

    struct Reply {
        let status: Int
        let headers: String
        let body: [UInt8]

        func json() throws -> JSON { try JSONParser.parse(body) }
        func code() throws -> String { try json().text("code") }
    }

    /// Send a request and read until the agent closes the connection.
    func send(
        _ method: String, _ path: String, _ body: [UInt8] = [], authorization: String? = nil, extra: String = ""
    ) throws -> Reply {
        let credentials = authorization.map { "Authorization: \($0)\r\n" } ?? ""
        let head =
            "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(credentials)\(extra)Content-Length: \(body.count)\r\n"
        return try parse(raw(Array("\(head)Connection: close\r\n\r\n".utf8) + body))
    }

    /// Send bytes; what comes back until the end.
    func raw(_ bytes: [UInt8], thenClose: Bool = false) throws -> [UInt8] {
        let socket = try Socket.connected(port: port)
        defer { socket.close() }
        try? socket.write(bytes)  // an agent may refuse before it has read all
        if thenClose { return [] }
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while let count = try? buffer.withUnsafeMutableBytes({ try socket.read(into: $0) }), count > 0 {
            reply += buffer[..<count]
        }
        return reply
    }

    func parse(_ bytes: [UInt8]) throws -> Reply {
        let text = String(decoding: bytes, as: UTF8.self)
        let parts = text.components(separatedBy: "\r\n\r\n")
        let status = try XCTUnwrap(Int(try XCTUnwrap(text.split(separator: " ").dropFirst().first)))
        var body = Array(parts.dropFirst().joined(separator: "\r\n\r\n").utf8)
        if parts[0].contains("Transfer-Encoding: chunked") { body = try unchunked(body) }
        return Reply(status: status, headers: parts[0], body: body)
    }

    private func unchunked(_ bytes: [UInt8]) throws -> [UInt8] {
        var left = bytes[...]
        var content: [UInt8] = []
        while true {
            let line = try XCTUnwrap(left.firstIndex(of: 13))
            let size = try XCTUnwrap(Int(String(decoding: left[..<line], as: UTF8.self), radix: 16))
            if size == 0 { return content }
            content += left[(line + 2)..<(line + 2 + size)]
            left = left[(line + 4 + size)...]
        }
    }
}
