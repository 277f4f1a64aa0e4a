import Foundation

/// The head of a request.
struct HTTPRequest {
    let method: String
    /// Without the query.
    let path: String
    let query: [String: String]
    let headers: [(name: String, value: String)]
    let isVersion11: Bool

    /// The value of a header; nil if it is missing or repeated.
    func header(_ name: String) -> String? {
        let found = headers.filter { $0.name == name }
        return found.count == 1 ? found[0].value : nil
    }

    func all(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }

    func has(_ name: String) -> Bool { headers.contains { $0.name == name } }
}

/// An HTTP/1.1 connection with successive requests.
final class HTTPConnection {
    private static let maxHeadBytes = 16 << 10
    private static let block = 256 << 10

    private let socket: Socket
    private var pending: ArraySlice<UInt8> = []
    private var request: HTTPRequest?
    /// Whether the request has an unread body.
    private var hasUnread = false
    private var isStreaming = false
    /// Whether no further requests are served.
    private(set) var isClosing = false

    init(_ socket: Socket) {
        self.socket = socket
    }

    /// The next request; nil if the peer has closed the connection.
    ///
    /// - Throws: `Refusal` if it is not HTTP; the connection ends with the reply.
    func next() throws -> HTTPRequest? {
        guard let head = try readHead() else { return nil }
        isStreaming = false
        isClosing = true  // until the head is parsed
        let request = try parse(head)
        let keepsAlive = request.isVersion11 ? request.header("connection")?.lowercased() != "close" : false
        isClosing = !keepsAlive
        hasUnread =
            (request.has("content-length") && request.header("content-length") != "0")
            || request.has("transfer-encoding")
        self.request = request
        return request
    }

    /// Read the whole body into memory.
    func body(limit: Int) throws -> [UInt8] {
        var body: [UInt8] = []
        try readBody(limit: limit) { body.append(contentsOf: $0) }
        return body
    }

    /// Pass the body to `take` block by block.
    ///
    /// - Throws: `Refusal` if its length is missing or above the limit; `ConnectionLost` if it ends early.
    func readBody(limit: Int, take: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard let request, let text = request.header("content-length"), 1...18 ~= text.utf8.count,
            text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }), !request.has("transfer-encoding"),
            var left = Int(text)
        else { throw Refusal(411, "length_required", "Content-Length is missing, or not alone") }
        guard left <= limit else {
            throw Refusal(413, "too_large", "a body of \(left) bytes is too large; the limit is \(limit)")
        }
        if request.header("expect")?.lowercased() == "100-continue" {
            try socket.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        }
        while left > 0 {
            if pending.isEmpty, try !fill() { throw ConnectionLost() }
            let part = pending.prefix(left)
            try part.withUnsafeBytes { try take($0) }
            pending = pending.dropFirst(part.count)
            left -= part.count
        }
        hasUnread = false
    }

    /// Send a complete reply; without a body if the message is nil.
    func send(_ message: JSON?, status: Int) throws {
        let content = try message.map { try JSONWriter.compact($0) } ?? []
        isClosing = isClosing || hasUnread  // an unread body would be taken for the next request
        var head = "HTTP/1.1 \(status) \(reason(status))\r\n"
        if message != nil { head += "Content-Type: application/json\r\nContent-Length: \(content.count)\r\n" }
        if message == nil, status != 204 { head += "Content-Length: 0\r\n" }
        if isClosing { head += "Connection: close\r\n" }
        let withBody = request?.method != "HEAD"
        try socket.write(Array((head + "\r\n").utf8) + (withBody ? content : []))
    }

    /// Send a line of a chunked reply; the first one begins it.
    func sendLine(_ message: JSON) throws {
        var content: [UInt8] = []
        if !isStreaming {
            isClosing = isClosing || hasUnread
            content += "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n".utf8
            content += (isClosing ? "Connection: close\r\n\r\n" : "\r\n").utf8
            isStreaming = true
        }
        let line = try JSONWriter.compact(message) + [UInt8(ascii: "\n")]
        content += "\(String(line.count, radix: 16))\r\n".utf8
        content += line
        content += "\r\n".utf8
        try socket.write(content)
    }

    /// End a chunked reply.
    func endLines() throws {
        try socket.write(Array("0\r\n\r\n".utf8))
    }

    /// Refuse a request; if lines were already sent, close the connection, so that the peer notices.
    func refuse(_ refusal: Refusal) {
        guard !isStreaming else {
            isClosing = true
            return
        }
        do {
            try send(errorMessage(refusal.message, refusal.code), status: refusal.status)
        } catch {
            isClosing = true
        }
    }

    func close() {
        if hasUnread { socket.finish() }
        socket.close()
    }

    private func readHead() throws -> [UInt8]? {
        let end: [UInt8] = [13, 10, 13, 10]
        var searched = 0
        while true {
            let bytes = Array(pending)
            let start = firstIndex(of: end, in: bytes, from: max(0, searched - 3))
            if let start, start <= Self.maxHeadBytes {
                pending = pending.dropFirst(start + 4)
                return Array(bytes[..<start])
            }
            searched = bytes.count
            guard start == nil, searched <= Self.maxHeadBytes else {
                isClosing = true
                throw Refusal.badRequest("the head of the request is too large")
            }
            if try !fill() {
                if searched == 0 { return nil }
                throw ConnectionLost()
            }
        }
    }

    /// Read more; false at the end of the stream.
    private func fill() throws -> Bool {
        let more = try [UInt8](unsafeUninitializedCapacity: Self.block) { buffer, count in
            count = try socket.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        pending = pending.isEmpty ? more[...] : pending + more
        return !more.isEmpty
    }

    private func parse(_ head: [UInt8]) throws -> HTTPRequest {
        guard let text = String(bytes: head, encoding: .utf8) ?? String(bytes: head, encoding: .isoLatin1) else {
            throw Refusal.badRequest("the head of the request is not text")
        }
        var lines = text.components(separatedBy: "\r\n")
        let first = lines.removeFirst().split(separator: " ", omittingEmptySubsequences: false)
        guard first.count == 3, first[1].hasPrefix("/"), ["HTTP/1.1", "HTTP/1.0"].contains(first[2]) else {
            throw Refusal.badRequest("the request is not HTTP/1.1")
        }
        let headers = try lines.map { line in
            guard let colon = line.firstIndex(of: ":"), let start = line.first, start != " ", start != "\t" else {
                throw Refusal.badRequest("a header of the request is malformed")
            }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            return (name: line[..<colon].lowercased(), value: value)
        }
        let target = first[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var query: [String: String] = [:]
        for part in target.count > 1 ? target[1].split(separator: "&") : [] {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[String(pair[0])] = pair.count > 1 ? String(pair[1]) : ""
        }
        return HTTPRequest(
            method: String(first[0]), path: String(target[0]), query: query, headers: headers,
            isVersion11: first[2] == "HTTP/1.1")
    }
}

private func firstIndex(of pattern: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
    guard bytes.count >= pattern.count else { return nil }
    return (start...max(start, bytes.count - pattern.count)).first { index in
        index + pattern.count <= bytes.count && bytes[index..<index + pattern.count].elementsEqual(pattern)
    }
}

private func reason(_ status: Int) -> String {
    let reasons = [
        200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 400: "Bad Request", 401: "Unauthorized",
        403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 411: "Length Required",
        413: "Content Too Large", 421: "Misdirected Request", 422: "Unprocessable Content", 429: "Too Many Requests",
        500: "Internal Server Error", 507: "Insufficient Storage",
    ]
    return reasons[status] ?? "Refused"
}
