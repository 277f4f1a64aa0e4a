import Foundation

/// A benchmark that runs in its own thread while the client polls.
final class Job: @unchecked Sendable {
    private struct Cancelled: Error {}

    let request: BenchRequest
    private let condition = NSCondition()
    private var current: JobInfo
    private var isCancelled = false

    /// Start a benchmark.
    ///
    /// - Parameters:
    ///   - request: the request; its key identifies the job to the client.
    ///   - measure: runs the benchmark; calls its argument between runs.
    init(_ request: BenchRequest, measure: @escaping @Sendable (@escaping () throws -> Void) throws -> BenchmarkSamples)
    {
        self.request = request
        current = JobInfo(id: newIdentity())
        let thread = Thread { self.run(measure) }
        thread.stackSize = 1 << 20
        thread.qualityOfService = .userInteractive  // the priority of work that a user waits for, as in the camera
        thread.start()
    }

    /// The current status.
    var info: JobInfo {
        condition.lock()
        defer { condition.unlock() }
        return current
    }

    /// Wait until the job has ended, at most some seconds; returns its status.
    func wait(_ seconds: Double) -> JobInfo {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while current.status == .running, condition.wait(until: end) {}
        return current
    }

    /// Stop the job before its next run.
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

/// A random identifier that cannot be guessed.
func newIdentity() -> String {
    UUID().uuidString.lowercased().replacingOccurrences(of: "-", with: "")
}
