import Foundation

/// Routes requests to the methods of the agent.
struct Router {
    private static let jsonBodyBytes = 64 << 10

    let agent: Agent
    let token: String
    /// Called when a connection has sent the token.
    let onAuthenticated: () -> Void

    /// Serve the requests of a connection until it ends.
    func serve(_ connection: HTTPConnection) {
        defer { connection.close() }
        repeat {
            do {
                guard let request = try connection.next() else { return }
                if request.all("content-length").count > 1 {
                    throw Refusal.badRequest("Content-Length is given more than once")
                }
                try refuseForeign(hosts: request.all("host"), origins: request.all("origin"))
                try checkToken(request)
                onAuthenticated()
                try route(request, connection)
            } catch let refusal as Refusal {
                connection.refuse(refusal)
            } catch is ConnectionLost {
                return
            } catch {
                connection.refuse(isStorageFull(error) ? storageFullRefusal : internalRefusal(error))
            }
        } while !connection.isClosing
    }

    private func checkToken(_ request: HTTPRequest) throws {
        guard isEqualInConstantTime(request.header("authorization") ?? "", "Bearer \(token)") else {
            throw Refusal(401, "unauthorized", "the token is missing or wrong")
        }
    }

    private func route(_ request: HTTPRequest, _ connection: HTTPConnection) throws {
        let parts = request.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        guard parts.first == "v1", !parts.dropFirst().contains("") else { throw unknown(request) }
        let name = parts.count > 2 ? parts[2] : ""
        switch (request.method, parts.count, parts.count > 1 ? parts[1] : "", parts.count > 3 ? parts[3] : "") {
        case ("GET", 2, "info", _): try connection.send(agent.info(), status: 200)
        case ("GET", 2, "state", _): try connection.send(agent.state(), status: 200)
        case ("GET", 3, "bundles", _): try connection.send(agent.bundle(name), status: 200)
        case ("PUT", 3, "bundles", _):
            let (message, isNew) = try agent.addBundle(name) { file in
                try connection.readBody(limit: agent.limits.bodyBytes) { try file.write($0) }
            }
            try connection.send(message, status: isNew ? 201 : 200)
        case ("DELETE", 3, "bundles", _):
            try agent.removeBundle(name)
            try connection.send(nil, status: 204)
        case ("POST", 2, "sessions", _):
            try connection.send(agent.openSession(message(connection, SessionRequest.init)), status: 201)
        case ("DELETE", 3, "sessions", _):
            try agent.closeSession(name)
            try connection.send(nil, status: 204)
        case ("POST", 4, "sessions", "golden"): try connection.send(agent.golden(name), status: 200)
        case ("POST", 4, "sessions", "tensor"):
            try agent.tensor(name, connection.body(limit: agent.limits.bodyBytes), send: connection.sendLine)
            try connection.endLines()
        case ("POST", 4, "sessions", "images"):
            let turned = try option(request, "orientation", 0...1) == 1
            let body = try connection.body(limit: agent.limits.bodyBytes)
            try agent.images(name, body, turned: turned, send: connection.sendLine)
            try connection.endLines()
        case ("POST", 4, "sessions", "bench"):
            try connection.send(agent.bench(name, message(connection, BenchRequest.init)), status: 202)
        case ("GET", 3, "jobs", _):
            try connection.send(agent.job(name, wait: option(request, "wait", 0...Double.infinity)), status: 200)
        case ("DELETE", 3, "jobs", _): try connection.send(agent.cancel(name), status: 200)
        default:
            guard isKnown(parts) else { throw unknown(request) }
            throw Refusal(405, "method_not_allowed", "\(request.path.prefix(80)) has no \(request.method.prefix(20))")
        }
    }

    private func isKnown(_ parts: [String]) -> Bool {
        switch (parts.count, parts[1]) {
        case (2, "info"), (2, "state"), (2, "sessions"), (3, "bundles"), (3, "sessions"), (3, "jobs"): true
        case (4, "sessions"): ["golden", "tensor", "images", "bench"].contains(parts[3])
        default: false
        }
    }

    private func unknown(_ request: HTTPRequest) -> Refusal {
        Refusal(404, "unknown_endpoint", "there is no \(request.path.prefix(80)) in version 1 of the protocol")
    }

    /// A number in the query; the lowest valid one if it is missing.
    private func option(_ request: HTTPRequest, _ name: String, _ range: ClosedRange<Double>) throws -> Double {
        guard let text = request.query[name] else { return range.lowerBound }
        let isPlain = text.utf8.count < 20 && text.utf8.allSatisfy("0123456789.".utf8.contains)
        guard isPlain, let value = Double(text), range.contains(value) else {
            throw Refusal.badRequest("\(name)='\(text.prefix(40))' is not a valid number")
        }
        return value
    }

    /// Parse the body as a message.
    private func message<Message>(_ connection: HTTPConnection, _ decode: (JSON) throws -> Message) throws -> Message {
        let content = try connection.body(limit: Self.jsonBodyBytes)
        do {
            return try decode(JSONParser.parse(content))
        } catch let error as MobileDetError {
            throw Refusal.badRequest(error.message)
        }
    }
}

/// Whether two texts are equal, compared in constant time.
func isEqualInConstantTime(_ given: String, _ expected: String) -> Bool {
    let (a, b) = (Array(given.utf8), Array(expected.utf8))
    var difference = UInt(a.count ^ b.count)
    for index in b.indices { difference |= UInt(b[index] ^ (index < a.count ? a[index] : 0)) }
    return difference == 0
}

private func isStorageFull(_ error: any Error) -> Bool {
    if error is StorageFull { return true }
    let error = error as NSError
    let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
    let isCocoa = error.domain == NSCocoaErrorDomain && error.code == CocoaError.fileWriteOutOfSpace.rawValue
    return isCocoa || (cause.domain == NSPOSIXErrorDomain && [ENOSPC, EDQUOT].contains(Int32(cause.code)))
}

private let storageFullRefusal = Refusal(507, "no_space", "the device's storage is full")

private func internalRefusal(_ error: any Error) -> Refusal {
    Refusal(500, "internal", "the agent failed: \(type(of: error)): \(error)")
}
