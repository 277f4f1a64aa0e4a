import Foundation

/// A benchmark that runs in a thread of its own, while the client polls.
final class Job: @unchecked Sendable {
    private struct Cancelled: Error {}

    let request: BenchRequest
    private let condition = NSCondition()
    private var current: JobInfo
    private var isCancelled = false

    /// Start a benchmark.
    ///
    /// - Parameters:
    ///   - request: its key names the job to the client that asked.
    ///   - measure: does the work; calls its argument between two runs.
    init(_ request: BenchRequest, measure: @escaping @Sendable (@escaping () throws -> Void) throws -> BenchmarkSamples)
    {
        self.request = request
        current = JobInfo(id: newIdentity())
        let thread = Thread { self.run(measure) }
        thread.stackSize = 1 << 20
        thread.qualityOfService = .userInteractive  // what a person waits for, as the camera picture does
        thread.start()
    }

    /// How it stands.
    var info: JobInfo {
        condition.lock()
        defer { condition.unlock() }
        return current
    }

    /// How it stands when it has ended, or after so long.
    func wait(_ seconds: Double) -> JobInfo {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while current.status == .running, condition.wait(until: end) {}
        return current
    }

    /// Have it end before its next run.
    func cancel() {
        condition.lock()
        isCancelled = true
        condition.unlock()
    }

    private func run(_ measure: (@escaping () throws -> Void) throws -> BenchmarkSamples) {
        var end = info
        do {
            end.samples = try measure(check)
            end.status = .done
        } catch is Cancelled {
            end.status = .cancelled
        } catch {
            end.status = .failed
            switch error {
            case let error as MobileDetError: end.error = (error.message, "refused")
            case let error as Interruption: end.error = (error.message, error.rawValue)
            default: end.error = ("the benchmark failed: \(type(of: error)): \(error)", "internal")
            }
        }
        condition.lock()
        current = end
        condition.broadcast()
        condition.unlock()
    }

    private func check() throws {
        condition.lock()
        defer { condition.unlock() }
        if isCancelled { throw Cancelled() }
    }
}

/// A name that nobody guesses.
func newIdentity() -> String {
    UUID().uuidString.lowercased().replacingOccurrences(of: "-", with: "")
}
