import Foundation

/// Serves an agent on this device's loopback address to whoever knows the token.
///
/// A computer reaches it through the cable (`iproxy`, `xcrun devicectl`) or, on the same machine, directly.
public final class AgentServer: Sendable {
    public static let defaultPort: UInt16 = 8765
    private static let shortestToken = 16
    private static let mostConnections = 16
    private static let silenceSeconds = 60
    /// For a client that does not read: the device would wait for it.
    private static let sendSeconds = 5

    public let port: UInt16
    public let token: String
    private let agent: Agent
    private let listener: Socket
    private let guests: Guests
    private let isStopped = Locked(false)

    /// Listen; nobody is served before `start`.
    ///
    /// - Parameters:
    ///   - token: at least 16 visible ASCII characters.
    ///   - port: 0 takes a free one.
    /// - Throws: `MobileDetError` when the token is a bad one or the port cannot be had.
    public convenience init(_ agent: Agent, token: String, port: UInt16 = AgentServer.defaultPort) throws {
        try self.init(agent, token: token, port: port, guests: Guests(most: Self.mostConnections))
    }

    init(_ agent: Agent, token: String, port: UInt16, guests: Guests) throws {
        guard token.utf8.count >= Self.shortestToken, token.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw MobileDetError("a token has at least \(Self.shortestToken) ASCII characters, without spaces")
        }
        (self.agent, self.token, self.guests) = (agent, token, guests)
        listener = try Socket.listening(port: port)
        self.port = listener.port
    }

    /// A new random token of 16 bytes, in hexadecimal: it is no option of a command line, whatever it begins with.
    public static func newToken() -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<4).map { _ in String(format: "%08x", UInt32.random(in: .min ... .max, using: &random)) }.joined()
    }

    /// Serve in threads of its own until `stop`.
    public func start() {
        detach(accept)
    }

    /// Close the port and every connection.
    public func stop() {
        isStopped.with { $0 = true }
        listener.interrupt()
        guests.interruptAll()
    }

    private func accept() {
        defer { listener.close() }
        while !isStopped.with({ $0 }) {
            do {
                let socket = try listener.accept(readSeconds: Self.silenceSeconds, sendSeconds: Self.sendSeconds)
                guests.hurryStrangers()
                guard let socket else { continue }
                if guests.admit(socket) { detach { self.serve(socket) } } else { socket.close() }
            } catch {
                return  // the system took the socket, as iOS does from an app that it suspends
            }
        }
    }

    private func serve(_ socket: Socket) {
        Router(agent: agent, token: token, welcome: { self.guests.welcome(socket) }).serve(HTTPConnection(socket))
        guests.remove(socket)
    }

    private func detach(_ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.stackSize = 1 << 20
        thread.start()
    }
}
