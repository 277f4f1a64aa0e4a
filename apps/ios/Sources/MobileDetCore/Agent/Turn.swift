import Foundation

/// A lock for computing: concurrent runs on a device would distort each other's times.
final class Turn: @unchecked Sendable {
    private let condition = NSCondition()
    private var isTaken = false

    /// Acquire the lock, waiting for at most some seconds; returns whether it was acquired.
    func acquire(seconds: Double) -> Bool {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while isTaken {
            if !condition.wait(until: end), isTaken { return false }
        }
        isTaken = true
        return true
    }

    func release() {
        condition.lock()
        isTaken = false
        condition.signal()
        condition.unlock()
    }
}
