import Foundation
import Replay
import XCTest

@testable import MobileDetCore

private let token = "a-token-for-these-tests"

final class GatekeeperTests: XCTestCase {
    private var server: AgentServer!

    private func serve(_ connections: Connections) throws {
        let runtime = try ReplayRuntime(recordings: Vectors.folder.appendingPathComponent("recordings.json")) { _ in
            throw MobileDetError("no pictures here")
        }
        let cache = try temporaryFolder(for: self).appendingPathComponent("agent")
        let agent = try Agent(runtime, folder: cache, limits: Limits(), foreground: true)
        server = try AgentServer(agent, token: token, port: 0, connections: connections)
        server.start()
        addTeardownBlock { [server] in
            server?.stop()
            agent.close()
        }
    }

    private func refusal(_ hosts: [String], _ origins: [String] = []) -> Refusal? {
        do { try refuseForeign(hosts: hosts, origins: origins) } catch { return error as? Refusal }
        return nil
    }

    func testAddressesAndLocalhostAreOurs() {
        for host in [
            "127.0.0.1", "127.0.0.1:80", "localhost:1", "LocalHost.", "localhost.:8", "[::1]:80", "[::1]", "10.0.0.7",
        ] {
            XCTAssertNil(refusal([host]), host)
            XCTAssertNil(refusal([host], ["http://\(host)"]), host)
        }
    }

    func testPageWhoseNameLeadsHereIsRefused() {
        for host in [
            "evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "", "a@localhost",
            "1.2.3", "1.2.3.4.5", "256.0.0.1", "localhost:65536", "localhost:x", "localhost/", "[evil.example]",
            "localhost..", ":80", "+1.0.0.1",
        ] {
            XCTAssertEqual(refusal([host])?.code, "wrong_host", host)
        }
        XCTAssertEqual(refusal([])?.status, 421)
        XCTAssertEqual(refusal(["localhost", "localhost"])?.status, 421)
    }

    func testRequestsOfOtherPagesAreRefused() {
        for origin in ["http://evil.example", "null", "", "http://localhost:1", "http://localhost", "file://"] {
            XCTAssertEqual(refusal(["localhost:2"], [origin])?.code, "wrong_origin", origin)
        }
        XCTAssertEqual(refusal(["localhost"], ["http://localhost", "http://evil.example"])?.status, 403)
    }

    func testServerAsksBeforeItLooksAtTheToken() throws {
        try serve(Connections(max: 16))
        let client = TestClient(port: server.port)
        for given in [token, "wrong"] {
            for (headers, status) in [
                ("Host: evil.example\r\n", 421), ("", 421), ("Host: localhost\r\nHost: localhost\r\n", 421),
                ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
                ("Host: localhost\r\nOrigin: http://localhost\r\n", given == token ? 200 : 401),
            ] {
                let head = "GET /v1/info HTTP/1.1\r\n\(headers)Authorization: Bearer \(given)\r\n"
                let reply = try client.parse(client.raw(Array("\(head)Connection: close\r\n\r\n".utf8)))
                XCTAssertEqual(reply.status, status, headers)
            }
        }
    }

    func testStrangersAreHurriedAndMakeRoom() throws {
        try serve(Connections(max: 4, authenticationSeconds: 1))
        let idle = try (0..<12).map { _ in try Socket.connected(port: server.port) }
        let reply = try TestClient(port: server.port).send("GET", "/v1/info", authorization: "Bearer \(token)")
        XCTAssertEqual(reply.status, 200)
        let started = monotonicNs()
        var buffer = [UInt8](repeating: 0, count: 10)
        for socket in idle { XCTAssertEqual(try? buffer.withUnsafeMutableBytes { try socket.read(into: $0) }, 0) }
        XCTAssertLessThan(monotonicNs() - started, 10_000_000_000)
    }
}
