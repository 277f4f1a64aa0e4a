import Foundation
import Replay
import XCTest

@testable import MobileDetCore

private let token = "a-token-for-these-tests"
private let good = try! ModelBundle(at: Vectors.bundles.appendingPathComponent("good")).sha256

/// Runs nothing but what a test tells it to.
private final class ScriptedRuntime: DetectorRuntime, @unchecked Sendable {
    /// Is called in each run of a model.
    var onInvoke: () throws -> Void = {}
    private let replay: ReplayRuntime

    init() throws {
        replay = try ReplayRuntime(recordings: Vectors.folder.appendingPathComponent("recordings.json")) { file in
            // pictures in the tests are raw pixels of the model's size, or PNG files in which nothing is packed
            file.count == 32 * 32 * 3 ? RGBImage(height: 32, width: 32, pixels: file) : try storedPNG(file)
        }
    }

    var info: DeviceInfo { replay.info }
    var accelerators: [String] { replay.accelerators }
    func state() -> DeviceState { replay.state() }

    func decode(_ file: [UInt8], applyOrientation: Bool) throws -> RGBImage {
        try replay.decode(file, applyOrientation: applyOrientation)
    }

    func load(_ bundle: ModelBundle, _ file: ModelFile, accelerator: String, threads: Int) throws -> any LoadedDetector
    {
        Scripted(self, try replay.load(bundle, file, accelerator: accelerator, threads: threads))
    }

    private final class Scripted: LoadedDetector {
        let runtime: ScriptedRuntime
        let detector: any LoadedDetector

        init(_ runtime: ScriptedRuntime, _ detector: any LoadedDetector) {
            (self.runtime, self.detector) = (runtime, detector)
        }

        var execution: Execution { detector.execution }
        func setInput(_ image: RGBImage) throws { try detector.setInput(image) }
        func invoke() throws {
            try runtime.onInvoke()
            try detector.invoke()
        }
        func detections() throws -> [Detection] { try detector.detections() }
        func coldStart(_ image: RGBImage) throws -> ColdStart { try detector.coldStart(image) }
    }
}

final class AgentTests: XCTestCase {
    private var runtime: ScriptedRuntime!
    private var agent: Agent!
    private var server: AgentServer!
    private var cache: URL!

    private func serve(_ change: (inout Limits) -> Void = { _ in }) throws {
        runtime = try ScriptedRuntime()
        cache = try temporaryFolder(for: self).appendingPathComponent("agent")
        var limits = Limits()
        limits.bodyBytes = 10_000_000
        change(&limits)
        agent = try Agent(runtime, folder: cache, limits: limits, foreground: true)
        server = try AgentServer(agent, token: token, port: 0)
        server.start()
        addTeardownBlock { [server, agent] in
            server?.stop()
            agent?.close()
        }
    }

    private func ask(_ method: String, _ path: String, _ body: [UInt8] = []) throws -> TestClient.Reply {
        try TestClient(port: server.port).send(method, path, body, authorization: "Bearer \(token)")
    }

    private func upload() throws {
        let zip = [UInt8](try Data(contentsOf: Vectors.bundles.appendingPathComponent("good.zip")))
        XCTAssert([200, 201].contains(try ask("PUT", "/v1/bundles/\(good)", zip).status))
    }

    private func session(key: String = UUID().uuidString, golden: Bool = true) throws -> String {
        try upload()
        let request =
            #"{"key":"\#(key)","bundle":"\#(good)","file":"model.float32.tflite","accelerator":"auto","threads":1}"#
        let reply = try ask("POST", "/v1/sessions", Array(request.utf8))
        XCTAssertEqual(reply.status, 201)
        let path = "/v1/sessions/\(try reply.json().text("id"))"
        if golden { XCTAssertEqual(try ask("POST", "\(path)/golden").status, 200) }
        return path
    }

    private func goldenInputs() throws -> [[UInt8]] {
        let bundle = try ModelBundle(at: Vectors.bundles.appendingPathComponent("good"))
        return try bundle.golden(bundle.file(formats: ["tflite"])).cases.filter { !$0.isEncoded }.map(\.content)
    }

    private func lines(_ reply: TestClient.Reply) throws -> [JSON] {
        try reply.body.split(separator: 10).map { try JSONParser.parse($0) }
    }

    private let longPlan = """
        {"warmup_runs":1,"warmup_seconds":0,"warmup_limit_seconds":0,"runs":1,"seconds":600,"fps":100,"state_seconds":5}
        """

    func testExchangesOfTheVectors() throws {
        try serve()
        for entry in try Vectors.cases("exchanges") {
            let authorization = try entry.text("auth").replacingOccurrences(of: "TOKEN", with: token)
            let body =
                try entry["file"].map { try Data(contentsOf: Vectors.bundles.appendingPathComponent($0.string!)) }
                ?? Data((entry["text"]?.string ?? "").utf8)
            let (method, path) = (try entry.text("method"), try entry.text("path"))
            let reply = try TestClient(port: server.port).send(
                method, path, [UInt8](body), authorization: authorization.isEmpty ? nil : authorization)
            let name = "\(method) \(path) \(entry["file"]?.string ?? entry["text"]?.string ?? "")"
            XCTAssertEqual(reply.status, try entry.whole("status"), name)
            if reply.status >= 400 {
                XCTAssertEqual(try reply.code(), try entry.text("code"), name)
            } else {
                XCTAssertEqual(reply.body.isEmpty, try entry.text("kind").isEmpty, name)
            }
        }
        XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: cache.path), [])
    }

    func testMessagesOfTheVectors() throws {
        for entry in try Vectors.cases("messages") {
            let content = try entry["text"].map { Array($0.string!.utf8) } ?? entry.bytes("base64")
            let kind = try entry.text("kind"), isValid = try entry.flag("valid")
            let decode: (JSON) throws -> Void
            switch kind {
            case "SessionRequest": decode = { _ = try SessionRequest($0) }
            case "BenchRequest": decode = { _ = try BenchRequest($0) }
            default: continue
            }
            let shown = String(decoding: content.prefix(300), as: UTF8.self)
            if isValid {
                XCTAssertNoThrow(try decode(JSONParser.parse(content)), shown)
            } else {
                assertRefused(shown) { try decode(JSONParser.parse(content)) }
            }
        }
    }

    func testBatchesOfTheVectors() throws {
        for entry in try Vectors.cases("batches") {
            if try entry.text("mode") == "image" {
                let body = try entry.bytes("base64")
                let lengths = try entry.field("lengths").array?.map { $0.integer }
                XCTAssertEqual(try? Batch.images(body).map(\.count), lengths)
            } else {
                let body = [UInt8](repeating: 0, count: try entry.whole("bytes"))
                let sides = try entry.list("input").compactMap { $0.integer }
                XCTAssertEqual(
                    try? Batch.inputs(body, height: sides[0], width: sides[1]).count, try entry.field("count").integer)
            }
        }
    }

    func testImagesAndTensorsGiveTheRecordedDetections() throws {
        try serve()
        let path = try session(), inputs = try goldenInputs()
        let batch = inputs.flatMap { input in
            (0..<4).map { UInt8(truncatingIfNeeded: input.count >> (24 - 8 * $0)) } + input
        }
        let pictures = try lines(ask("POST", "\(path)/images?orientation=0", batch + [0, 0, 0, 1, 7]))
        XCTAssertEqual(pictures.count, inputs.count + 1)
        XCTAssertEqual(pictures.map { $0["index"]?.integer }, [0, 1, 2])
        XCTAssertEqual(try pictures[0].floats("boxes"), [8, 4, 24, 16, 0, 0, Float(0.4) * 32, Float(0.3) * 32])
        XCTAssertEqual(try pictures[0].floats("scores"), [0.875, 0.5])
        XCTAssertEqual(try pictures[0].whole("height"), 32)
        XCTAssertEqual(try pictures[2].field("times"), .null)
        XCTAssertEqual(try pictures[2].text("problem"), "it is not an image of a known format")
        let tensors = try lines(ask("POST", "\(path)/tensor", inputs.flatMap { $0 }))
        XCTAssertEqual(try tensors[0].floats("boxes"), [0.25, 0.125, 0.75, 0.5, 0, 0, 0.4, 0.3])
        XCTAssertEqual(try tensors[0].field("times").whole("decode"), 0)
        let unknown = try lines(ask("POST", "\(path)/tensor", inputs[0] + [UInt8](repeating: 9, count: 32 * 32 * 3)))
        XCTAssertEqual(try unknown.last?.text("code"), "refused")
    }

    func testBackgroundEndsWhatRunsAndRefusesTheRest() throws {
        try serve()
        let path = try session(), inputs = try goldenInputs()
        var runs = 0
        runtime.onInvoke = { [agent] in
            runs += 1
            if runs == 1 { agent?.setForeground(false) }
        }
        let answered = try lines(ask("POST", "\(path)/tensor", inputs.flatMap { $0 }))
        XCTAssertEqual(answered.count, 2)
        XCTAssertEqual(try answered[1].text("code"), "background")
        XCTAssertEqual(try ask("GET", "/v1/state").json().field("foreground"), .bool(false))
        let bench = Array(#"{"key":"k","plan":\#(longPlan)}"#.utf8)
        for (endpoint, body) in [("golden", []), ("tensor", inputs[0]), ("images", [0, 0, 0, 0]), ("bench", bench)] {
            let reply = try ask("POST", "\(path)/\(endpoint)", body)
            XCTAssertEqual(reply.status, 409, endpoint)
            XCTAssertEqual(try reply.code(), "background", endpoint)
        }
        agent.setForeground(true)
        let job = try ask("POST", "\(path)/bench", bench).json().text("id")
        XCTAssertEqual(try ask("GET", "/v1/jobs/\(job)?wait=0.3").json().text("status"), "running")
        agent.setForeground(false)
        let ended = try ask("GET", "/v1/jobs/\(job)?wait=20").json()
        XCTAssertEqual(try ended.text("status"), "failed")
        XCTAssertEqual(try ended.field("error").text("code"), "background")
        agent.setForeground(true)
        XCTAssertEqual(try ask("POST", "\(path)/golden").status, 200)
    }

    func testLostAcceleratorIsSaid() throws {
        try serve()
        let path = try session(), inputs = try goldenInputs()
        runtime.onInvoke = { throw Interruption.acceleratorLost }
        let answered = try lines(ask("POST", "\(path)/tensor", inputs[0]))
        XCTAssertEqual(try answered[0].text("code"), "accelerator_lost")
        runtime.onInvoke = {}
        XCTAssertEqual(try ask("POST", "\(path)/golden").code(), "accelerator_lost")
        XCTAssertEqual(try ask("POST", "\(try session())/golden").status, 200)
    }

    func testOneThingComputesAtATime() throws {
        try serve()
        let paths = [try session(), try session()], inputs = try goldenInputs()
        let running = Locked((now: 0, most: 0))
        runtime.onInvoke = {
            running.with { ($0.now, $0.most) = ($0.now + 1, max($0.most, $0.now + 1)) }
            Thread.sleep(forTimeInterval: 0.01)
            running.with { $0.now -= 1 }
        }
        let group = DispatchGroup(), client = TestClient(port: server.port)
        for index in 0..<6 {
            DispatchQueue.global().async(group: group) {
                let reply = try? client.send(
                    "POST", "\(paths[index % 2])/tensor", inputs.flatMap { $0 }, authorization: "Bearer \(token)")
                XCTAssertEqual(reply?.body.split(separator: 10).count, 2)
            }
        }
        group.wait()
        XCTAssertEqual(running.with { $0.most }, 1)
    }

    func testJobsAreCancelledAndKeysBelongToOneRequest() throws {
        try serve()
        let path = try session()
        let bench = Array(#"{"key":"k","plan":\#(longPlan)}"#.utf8)
        let job = try ask("POST", "\(path)/bench", bench).json().text("id")
        XCTAssertEqual(try ask("POST", "\(path)/bench", bench).json().text("id"), job)
        let longer = longPlan.replacingOccurrences(of: "600", with: "700")
        XCTAssertEqual(
            try ask("POST", "\(path)/bench", Array(#"{"key":"k","plan":\#(longer)}"#.utf8)).code(), "key_reused")
        XCTAssertEqual(try ask("POST", "\(path)/bench", Array(#"{"key":"l","plan":\#(longPlan)}"#.utf8)).code(), "busy")
        XCTAssertEqual(try ask("DELETE", "/v1/jobs/\(job)").json().text("status"), "cancelled")
        XCTAssertEqual(try ask("DELETE", path).status, 204)
        XCTAssertEqual(try ask("GET", "/v1/jobs/\(job)").code(), "unknown_job")
    }

    func testSessionsHaveALimit() throws {
        try serve { ($0.sessions, $0.idleSeconds) = (2, 1000) }
        let first = try session(golden: false)
        _ = try session(golden: false)
        let request = #"{"key":"x","bundle":"\#(good)","file":"float32","accelerator":"auto","threads":0}"#
        XCTAssertEqual(try ask("POST", "/v1/sessions", Array(request.utf8)).code(), "too_many_sessions")
        XCTAssertEqual(try ask("DELETE", first).status, 204)
        XCTAssertEqual(try ask("POST", "/v1/sessions", Array(request.utf8)).status, 201)
    }

    func testDamagedStorageIsNoticed() throws {
        try serve()
        try upload()
        let stored = cache.appendingPathComponent("\(good).zip")
        var content = [UInt8](try Data(contentsOf: stored))
        content[200] ^= 1
        try Data(content).write(to: stored)
        let request = #"{"key":"x","bundle":"\#(good)","file":"float32","accelerator":"auto","threads":0}"#
        XCTAssertEqual(try ask("POST", "/v1/sessions", Array(request.utf8)).code(), "bad_bundle")
    }

    func testSessionOutlivesItsBundle() throws {
        try serve()
        let path = try session(golden: false)
        XCTAssertEqual(try ask("DELETE", "/v1/bundles/\(good)").status, 204)
        XCTAssertEqual(try ask("POST", "\(path)/golden").status, 200)
    }

    func testHTTPThatIsNone() throws {
        try serve()
        let client = TestClient(port: server.port)
        let authorization = "Authorization: Bearer \(token)\r\n", secret = "Host: localhost\r\n\(authorization)"
        for (text, status) in [
            ("hello\r\n\r\n", 400), ("GET /v1/info HTTP/2\r\n\r\n", 400), ("GET v1/info HTTP/1.1\r\n\r\n", 400),
            ("GET /v1/info HTTP/1.1\r\n\(secret) folded: x\r\n\r\n", 400),
            ("GET /v1/info HTTP/1.1\r\n\(secret)\(authorization)Connection: close\r\n\r\n", 401),
            ("POST /v1/sessions HTTP/1.1\r\n\(secret)Connection: close\r\n\r\n", 411),
            ("POST /v1/sessions HTTP/1.1\r\n\(secret)Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
            ("POST /v1/sessions HTTP/1.1\r\n\(secret)Content-Length: 1\r\ncontent-length: 1\r\n\r\nx", 400),
            ("POST /v1/sessions HTTP/1.1\r\n\(secret)Content-Length: -1\r\n\r\n", 411),
            (
                "POST /v1/sessions HTTP/1.1\r\n\(secret)Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                411
            ),
            ("POST /v1/sessions HTTP/1.1\r\n\(secret)Content-Length: 99999999\r\n\r\n", 413),
            ("GET /v1/info HTTP/1.1\r\nx: \(String(repeating: "y", count: 20_000))\r\n\r\n", 400),
        ] {
            XCTAssertEqual(try client.parse(client.raw(Array(text.utf8))).status, status, String(text.prefix(60)))
        }
        let old = try client.parse(client.raw(Array("GET /v1/info HTTP/1.0\r\n\(secret)\r\n".utf8)))
        XCTAssertEqual(old.status, 200)
        let two = String(
            decoding: try client.raw(
                Array(
                    "GET /v1/state HTTP/1.1\r\n\(secret)\r\nGET /v1/info HTTP/1.1\r\n\(secret)Connection: close\r\n\r\n"
                        .utf8)),
            as: UTF8.self)
        XCTAssertEqual(two.components(separatedBy: "HTTP/1.1 200 OK").count, 3, "two requests on one connection")
        let asked = "PUT /v1/bundles/\(good) HTTP/1.1\r\n\(secret)Expect: 100-continue\r\nContent-Length: 2\r\n"
        let told = String(decoding: try client.raw(Array("\(asked)Connection: close\r\n\r\nab".utf8)), as: UTF8.self)
        XCTAssert(told.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 422"), told)
        let head = String(
            decoding: try client.raw(Array("HEAD /v1/info HTTP/1.1\r\n\(secret)Connection: close\r\n\r\n".utf8)),
            as: UTF8.self)
        XCTAssert(head.hasPrefix("HTTP/1.1 405") && head.hasSuffix("\r\n\r\n"))
        _ = try client.raw(
            Array("PUT /v1/bundles/\(good) HTTP/1.1\r\n\(secret)Content-Length: 900\r\n\r\nab".utf8), thenClose: true)
        XCTAssertEqual(try ask("GET", "/v1/bundles/\(good)").status, 404)
    }

    func testTokens() throws {
        try serve()
        for bad in ["short", "with a space in the token", "ünïcode-ünïcode-ünïcode"] {
            assertRefused(bad) { _ = try AgentServer(agent, token: bad, port: 0) }
        }
        XCTAssertGreaterThanOrEqual(AgentServer.newToken().count, 32)
        XCTAssertNotEqual(AgentServer.newToken(), AgentServer.newToken())
        XCTAssert(isEqualInConstantTime("abc", "abc"))
        for other in ["", "ab", "abcd", "abd", "abc\0"] { XCTAssertFalse(isEqualInConstantTime(other, "abc"), other) }
        assertRefused("the port is taken") { _ = try AgentServer(agent, token: token, port: server.port) }
    }

    func testServerThatHasStoppedAnswersNobody() throws {
        try serve()
        let port = server.port
        server.stop()
        Thread.sleep(forTimeInterval: 0.6)
        XCTAssertThrowsError(try Socket.connected(port: port))
        let again = try AgentServer(agent, token: token, port: port)
        again.start()
        XCTAssertEqual(
            try TestClient(port: port).send("GET", "/v1/info", authorization: "Bearer \(token)").status, 200)
        again.stop()
    }
}
