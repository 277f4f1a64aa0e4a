import Foundation

/// Serves an agent on this device's loopback address to clients that know the token.
///
/// A computer reaches it through the cable (`iproxy`, `xcrun devicectl`) or, on the same machine, directly.
public final class AgentServer: Sendable {
    public static let defaultPort: UInt16 = 8765
    private static let minTokenLength = 16
    private static let maxConnections = 16
    private static let silenceSeconds = 60
    /// Time limit for a client that does not read its reply.
    private static let sendSeconds = 5

    public let port: UInt16
    public let token: String
    private let agent: Agent
    private let listener: Socket
    private let connections: Connections
    private let isStopped = Locked(false)

    /// Listen; requests are served after `start`.
    ///
    /// - Parameters:
    ///   - token: at least 16 visible ASCII characters.
    ///   - port: port to listen on; 0 chooses a free one.
    /// - Throws: `MobileDetError` if the token is not valid or the port is in use.
    public convenience init(_ agent: Agent, token: String, port: UInt16 = AgentServer.defaultPort) throws {
        try self.init(agent, token: token, port: port, connections: Connections(max: Self.maxConnections))
    }

    init(_ agent: Agent, token: String, port: UInt16, connections: Connections) throws {
        guard token.utf8.count >= Self.minTokenLength, token.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw MobileDetError("the token must have at least \(Self.minTokenLength) ASCII characters, without spaces")
        }
        (self.agent, self.token, self.connections) = (agent, token, connections)
        listener = try Socket.listening(port: port)
        self.port = listener.port
    }

    /// Generate a random token of 16 bytes, in hexadecimal, so that it never looks like a command-line option.
    public static func newToken() -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<4).map { _ in String(format: "%08x", UInt32.random(in: .min ... .max, using: &random)) }.joined()
    }

    /// Serve in background threads until `stop`.
    public func start() {
        detach(accept)
    }

    /// Close the port and every connection.
    public func stop() {
        isStopped.with { $0 = true }
        listener.interrupt()
        connections.interruptAll()
    }

    private func accept() {
        defer { listener.close() }
        while !isStopped.with({ $0 }) {
            do {
                let socket = try listener.accept(readSeconds: Self.silenceSeconds, sendSeconds: Self.sendSeconds)
                connections.dropUnauthenticated()
                guard let socket else { continue }
                if connections.admit(socket) { detach { self.serve(socket) } } else { socket.close() }
            } catch {
                return  // the system closed the socket, as iOS does when it suspends an app
            }
        }
    }

    private func serve(_ socket: Socket) {
        Router(agent: agent, token: token, onAuthenticated: { self.connections.markAuthenticated(socket) }).serve(
            HTTPConnection(socket))
        connections.remove(socket)
    }

    private func detach(_ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.stackSize = 1 << 20
        thread.start()
    }
}
