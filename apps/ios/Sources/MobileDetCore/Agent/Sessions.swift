import Foundation

/// A model file in memory.
final class Session: Sendable {
    private struct State {
        var isTrusted = false
        var isLost = false
        var job: Job?
        var usedNs = monotonicNs()
    }

    let id = newIdentity()
    let request: SessionRequest
    let bundle: ModelBundle
    let golden: GoldenFile
    let device: DeviceInfo
    let detector: any LoadedDetector
    private let state = Locked(State())

    init(
        _ request: SessionRequest, _ bundle: ModelBundle, _ golden: GoldenFile, _ device: DeviceInfo,
        _ detector: any LoadedDetector
    ) {
        (self.request, self.bundle, self.golden) = (request, bundle, golden)
        (self.device, self.detector) = (device, detector)
    }

    var gate: GoldenGate { GoldenGate(bundle.spec, golden, accelerator: detector.execution.actual) }

    var message: JSON {
        record([
            ("id", .string(id)), ("bundle", .string(bundle.sha256)), ("device", device.message),
            ("execution", detector.execution.message),
        ])
    }

    /// Whether it has passed the golden gate.
    var isTrusted: Bool {
        get { state.with { $0.isTrusted } }
        set { state.with { $0.isTrusted = newValue } }
    }

    /// Whether its accelerator was lost; permanent.
    var isLost: Bool {
        get { state.with { $0.isLost } }
        set { state.with { $0.isLost = newValue } }
    }

    /// The latest benchmark.
    var job: Job? { state.with { $0.job } }

    var isMeasuring: Bool { job?.info.status == .running }

    /// Time of the last request, in nanoseconds of the monotonic clock.
    var usedNs: Int { state.with { $0.usedNs } }

    func touch() {
        state.with { $0.usedNs = monotonicNs() }
    }

    /// The job for a request: the existing one with the same key, or a new one.
    ///
    /// - Throws: `Refusal` if another job is running.
    func startJob(_ request: BenchRequest, start: () -> Job) throws -> Job {
        try state.with { state in
            if let job = state.job {
                if job.request.key == request.key {
                    guard job.request == request else {
                        throw Refusal(409, "key_reused", "this key belongs to another benchmark")
                    }
                    return job
                }
                guard job.info.status != .running else {
                    throw Refusal(409, "busy", "this session is being measured already")
                }
            }
            let job = start()
            state.job = job
            return job
        }
    }
}

/// The open sessions, with a limit on their number.
final class Sessions: Sendable {
    private let limits: Limits
    private let opening = Locked(())  // also held while loading, or two sessions with the same key could be opened
    private let open = Locked<[String: Session]>([:])

    init(_ limits: Limits) {
        self.limits = limits
    }

    /// The session for a request: an open one with the same key, or a new one.
    ///
    /// - Throws: `Refusal` if too many sessions are open, the key belongs to another request, or `load` refuses.
    func open(_ request: SessionRequest, load: () throws -> Session) throws -> Session {
        try opening.with { _ in
            if let session = all.first(where: { $0.request.key == request.key }) {
                guard session.request == request else {
                    throw Refusal(409, "key_reused", "this key belongs to another session")
                }
                session.touch()
                return session
            }
            try closeIdle()
            let session = try load()
            open.with { $0[session.id] = session }
            return session
        }
    }

    func get(_ id: String) throws -> Session {
        guard let session = open.with({ $0[id] }) else {
            throw Refusal(404, "unknown_session", "no session '\(id.prefix(80))' is open")
        }
        session.touch()
        return session
    }

    /// The job with this id.
    ///
    /// - Throws: `Refusal` if there is no such job, or its session was closed or has a newer one.
    func job(_ id: String) throws -> Job {
        for session in all {
            if let job = session.job, job.info.id == id {
                session.touch()
                return job
            }
        }
        throw Refusal(404, "unknown_job", "no job '\(id.prefix(80))' is here")
    }

    /// Close a session and cancel its benchmark.
    func close(_ id: String) throws {
        guard let session = open.with({ $0.removeValue(forKey: id) }) else {
            throw Refusal(404, "unknown_session", "no session '\(id.prefix(80))' is open")
        }
        session.job?.cancel()
    }

    /// Close every session; wait for a benchmark to end.
    func closeAll(patienceSeconds: Double) {
        let closed = all
        open.with { $0.removeAll() }
        closed.forEach { $0.job?.cancel() }
        closed.forEach { _ = $0.job?.wait(patienceSeconds) }
    }

    private var all: [Session] { open.with { Array($0.values) } }

    private func closeIdle() throws {
        let sessions = all
        guard sessions.count >= limits.sessions else { return }
        let idle = sessions.filter { !$0.isMeasuring }.min { $0.usedNs < $1.usedNs }
        guard let idle, monotonicNs() - idle.usedNs >= limits.idleSeconds * 1_000_000_000 else {
            throw Refusal(
                429, "too_many_sessions", "\(sessions.count) sessions are open, which is the limit; close one")
        }
        try close(idle.id)
    }
}
