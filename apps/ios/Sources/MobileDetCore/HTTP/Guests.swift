/// The connections of a server: so many at most, and those that have not shown the token are hurried.
final class Guests: Sendable {
    private struct Guest {
        let socket: Socket
        let sinceNs: Int
        var isKnown = false
    }

    private let most: Int
    private let strangerSeconds: Double
    private let guests = Locked<[ObjectIdentifier: Guest]>([:])

    /// - Parameter strangerSeconds: to show the token.
    init(most: Int, strangerSeconds: Double = 5) {
        (self.most, self.strangerSeconds) = (most, strangerSeconds)
    }

    /// Take a connection in; where all places are taken, in place of the one that has been without the token longest.
    ///
    /// - Returns: whether there is a place.
    func admit(_ socket: Socket) -> Bool {
        guests.with { guests in
            if guests.count >= most {
                let strangers = guests.filter { !$0.value.isKnown }
                guard let oldest = strangers.min(by: { $0.value.sinceNs < $1.value.sinceNs }) else { return false }
                oldest.value.socket.interrupt()
                guests[oldest.key] = nil
            }
            guests[ObjectIdentifier(socket)] = Guest(socket: socket, sinceNs: monotonicNs())
            return true
        }
    }

    /// This connection has shown the token.
    func welcome(_ socket: Socket) { guests.with { $0[ObjectIdentifier(socket)]?.isKnown = true } }

    func remove(_ socket: Socket) { guests.with { $0[ObjectIdentifier(socket)] = nil } }

    /// Break off connections that have been without the token for too long.
    func hurryStrangers() {
        let latest = monotonicNs() - Int(strangerSeconds * 1e9)
        guests.with { guests in
            guests.values.filter { !$0.isKnown && $0.sinceNs <= latest }.forEach { $0.socket.interrupt() }
        }
    }

    func interruptAll() { guests.with { $0.values.forEach { $0.socket.interrupt() } } }
}
