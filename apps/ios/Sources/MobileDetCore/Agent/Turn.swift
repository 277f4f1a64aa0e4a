import Foundation

/// The right to compute: one at a time on the whole device, or times would spoil each other.
final class Turn: @unchecked Sendable {
    private let condition = NSCondition()
    private var isTaken = false

    /// Take the turn, waiting for up to so long; returns whether it was taken.
    func take(seconds: Double) -> Bool {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while isTaken {
            if !condition.wait(until: end), isTaken { return false }
        }
        isTaken = true
        return true
    }

    func giveBack() {
        condition.lock()
        isTaken = false
        condition.signal()
        condition.unlock()
    }
}
