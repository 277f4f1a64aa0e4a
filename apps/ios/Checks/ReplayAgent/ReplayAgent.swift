import Foundation
import MobileDetCore
import Replay

/// The Swift agent on a machine without Core ML, for tests: only the model is a double.
@main
struct ReplayAgent {
    private static let usage = """
        replay-agent --recordings FILE --cache FOLDER [--port P] [--token T] [--sessions N] [--idle-seconds N] \
        [--body-bytes N]
        """

    static func main() {
        do {
            try serve(Options(CommandLine.arguments.dropFirst()))
        } catch {
            FileHandle.standardError.write(Data("error: \(error)\n".utf8))
            exit(2)
        }
    }

    private static func serve(_ options: Options) throws {
        guard let recordings = options["--recordings"], let cache = options["--cache"] else {
            throw MobileDetError("usage: \(usage)")
        }
        var limits = Limits()
        limits.sessions = try options.number("--sessions", limits.sessions)
        limits.idleSeconds = try options.number("--idle-seconds", limits.idleSeconds)
        limits.bodyBytes = try options.number("--body-bytes", limits.bodyBytes)
        let runtime = try ReplayRuntime(recordings: URL(fileURLWithPath: recordings), decode: decodePicture)
        let agent = try Agent(runtime, folder: URL(fileURLWithPath: cache), limits: limits)
        let server = try AgentServer(
            agent, token: options["--token"] ?? AgentServer.newToken(), port: options.number("--port", 0))
        server.start()
        report("agent: http://127.0.0.1:\(server.port), replaying \(recordings)\ntoken: \(server.token)")
        signal(SIGTERM, SIG_IGN)
        let termination = DispatchSource.makeSignalSource(signal: SIGTERM)
        termination.setEventHandler {
            server.stop()
            agent.close()
            report("agent: stopping")
            exit(0)
        }
        termination.resume()
        dispatchMain()
    }

    private static func report(_ line: String) {
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
    }
}

/// `--name value` pairs of a command line.
private struct Options {
    private static let known = [
        "--recordings", "--cache", "--port", "--token", "--sessions", "--idle-seconds", "--body-bytes",
    ]
    private var values: [String: String] = [:]

    init(_ arguments: ArraySlice<String>) throws {
        var remaining = arguments
        while let name = remaining.popFirst() {
            guard Self.known.contains(name), let value = remaining.popFirst() else {
                throw MobileDetError("\(name) is unknown or has no value")
            }
            values[name] = value
        }
    }

    subscript(name: String) -> String? { values[name] }

    func number<Value: LosslessStringConvertible>(_ name: String, _ fallback: Value) throws -> Value {
        guard let text = values[name] else { return fallback }
        guard let value = Value(text) else { throw MobileDetError("\(name) \(text) is not a valid number") }
        return value
    }
}
