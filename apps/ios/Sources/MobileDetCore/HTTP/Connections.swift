/// The connections of a server, with a limit on their number and a time limit for authentication.
final class Connections: Sendable {
    private struct Connection {
        let socket: Socket
        let sinceNs: Int
        var isAuthenticated = false
    }

    private let max: Int
    private let authenticationSeconds: Double
    private let connections = Locked<[ObjectIdentifier: Connection]>([:])

    /// - Parameter authenticationSeconds: time limit for authentication.
    init(max: Int, authenticationSeconds: Double = 5) {
        (self.max, self.authenticationSeconds) = (max, authenticationSeconds)
    }

    /// Accept a connection; if all places are taken, drop the oldest unauthenticated one.
    ///
    /// - Returns: whether there was a place.
    func admit(_ socket: Socket) -> Bool {
        connections.with { connections in
            if connections.count >= max {
                let unauthenticated = connections.filter { !$0.value.isAuthenticated }
                guard let oldest = unauthenticated.min(by: { $0.value.sinceNs < $1.value.sinceNs }) else {
                    return false
                }
                oldest.value.socket.interrupt()
                connections[oldest.key] = nil
            }
            connections[ObjectIdentifier(socket)] = Connection(socket: socket, sinceNs: monotonicNs())
            return true
        }
    }

    /// Mark a connection as authenticated.
    func markAuthenticated(_ socket: Socket) {
        connections.with { $0[ObjectIdentifier(socket)]?.isAuthenticated = true }
    }

    func remove(_ socket: Socket) { connections.with { $0[ObjectIdentifier(socket)] = nil } }

    /// Drop connections that did not authenticate in time.
    func dropUnauthenticated() {
        let latest = monotonicNs() - Int(authenticationSeconds * 1e9)
        connections.with { connections in
            connections.values.filter { !$0.isAuthenticated && $0.sinceNs <= latest }.forEach { $0.socket.interrupt() }
        }
    }

    func interruptAll() { connections.with { $0.values.forEach { $0.socket.interrupt() } } }
}
