import Foundation

/// The endpoints of the agent, independent of HTTP.
///
/// Methods may be called by many threads; one at a time computes.
public final class Agent: Sendable {
    private static let busySeconds = 10.0
    private static let shutdownSeconds = 5.0
    private static let coldStarts = 3

    public let limits: Limits
    let runtime: any DetectorRuntime
    private let bundles: BundleStore
    private let sessions: Sessions
    private let turn = Turn()
    private let foreground: Locked<Bool?>

    /// - Parameters:
    ///   - runtime: runs the model files.
    ///   - folder: folder for the bundles; created if missing.
    ///   - limits: limits of the agent.
    ///   - foreground: whether the app is in the foreground; nil if the system has no such concept.
    /// - Throws: if the folder cannot be created.
    public init(_ runtime: any DetectorRuntime, folder: URL, limits: Limits = Limits(), foreground: Bool? = nil) throws
    {
        (self.runtime, self.limits) = (runtime, limits)
        bundles = try BundleStore(folder: folder, limitBytes: limits.bundleBytes)
        sessions = Sessions(limits)
        self.foreground = Locked(foreground)
    }

    /// Set whether the app is in the foreground. In the background, running work fails and new work is refused.
    public func setForeground(_ isForeground: Bool) {
        foreground.with { $0 = isForeground }
    }

    /// Close all sessions and stop all work.
    public func close() {
        sessions.closeAll(patienceSeconds: Self.shutdownSeconds)
    }

    func info() -> JSON { agentInfoMessage(runtime, limits) }

    func state() -> JSON { deviceState().message }

    func bundle(_ sha256: String) throws -> JSON {
        guard try bundles.contains(sha256) else { throw Refusal(404, "unknown_bundle", "no bundle \(sha256) is here") }
        return bundleInfoMessage(sha256)
    }

    /// Store a bundle; also returns whether it is new.
    func addBundle(_ sha256: String, write: (OutputFile) throws -> Void) throws -> (JSON, isNew: Bool) {
        let isNew = try bundles.add(sha256, write: write)
        return (bundleInfoMessage(sha256), isNew)
    }

    func removeBundle(_ sha256: String) throws {
        _ = try bundle(sha256)
        try bundles.remove(sha256)
    }

    func openSession(_ request: SessionRequest) throws -> JSON {
        try sessions.open(request) { try load(request) }.message
    }

    func closeSession(_ id: String) throws {
        try sessions.close(id)
    }

    func golden(_ id: String) throws -> JSON {
        let session = try sessions.get(id)
        return try withTurn(session) {
            do {
                session.isTrusted = false
                let report = try session.gate.replay(session.golden.cases) { golden in
                    try checkForeground()
                    try session.detector.setInput(input(golden, session))
                    try invoke(session)
                    return try session.detector.detections()
                }
                session.isTrusted = true
                return report.message
            } catch let error as MobileDetError {
                throw Refusal(409, "golden_failed", error.message)
            } catch let interruption as Interruption {
                throw Refusal(interruption)
            }
        }
    }

    /// Send one line for each image of a batch, in order, as soon as it is known.
    func images(_ id: String, _ batch: [UInt8], turned: Bool, send: (JSON) throws -> Void) throws {
        let session = try trusted(id)
        let images = try Batch.images(batch)
        try withTurn(session) {
            try answer(session, images, send) { index, image in
                let started = monotonicNs()
                let decodedImage: RGBImage
                do {
                    decodedImage = try runtime.decode(Array(image), applyOrientation: turned)
                } catch let error as MobileDetError {
                    return FoundLine(
                        index: index, height: 0, width: 0, detections: [], times: nil, problem: error.message)
                }
                let decoded = monotonicNs()
                let spec = session.bundle.spec.input
                let placement = Placement(height: decodedImage.height, width: decodedImage.width, in: spec)
                let (found, times) = try detect(
                    session, decodedImage.fitted(to: spec), started, decoded, place: placement.toImage)
                return FoundLine(
                    index: index, height: decodedImage.height, width: decodedImage.width, detections: found,
                    times: times,
                    problem: "")
            }
        }
    }

    /// Send one line for each input of the model, boxes as fractions.
    func tensor(_ id: String, _ batch: [UInt8], send: (JSON) throws -> Void) throws {
        let session = try trusted(id)
        let size = session.bundle.spec.input
        let inputs = try Batch.inputs(batch, height: size.height, width: size.width)
        try withTurn(session) {
            try answer(session, inputs, send) { index, input in
                let started = monotonicNs()
                let image = RGBImage(height: size.height, width: size.width, pixels: Array(input))
                let (found, times) = try detect(session, image, started, started) { $0 }
                return FoundLine(index: index, height: 1, width: 1, detections: found, times: times, problem: "")
            }
        }
    }

    func bench(_ id: String, _ request: BenchRequest) throws -> JSON {
        let session = try trusted(id)
        try refuseInterrupted(session)
        return try session.startJob(request) {
            Job(request) { check in try self.measure(session, request.plan, check) }
        }.info.message
    }

    func job(_ id: String, wait: Double) throws -> JSON {
        try sessions.job(id).wait(min(wait, Double(limits.waitSeconds))).message
    }

    func cancel(_ id: String) throws -> JSON {
        let job = try sessions.job(id)
        job.cancel()
        return job.wait(Self.busySeconds).message
    }

    private func load(_ request: SessionRequest) throws -> Session {
        let bundle = try bundles.open(request.bundle)
        return try withTurn(nil) {
            do {
                let file = try bundle.file(request.file)
                let golden = try bundle.golden(file)
                let detector = try runtime.load(
                    bundle, file, accelerator: request.accelerator, threads: request.threads)
                return Session(request, bundle, golden, runtime.info(running: file), detector)
            } catch let error as MobileDetError {
                throw Refusal(422, "refused", error.message)
            }
        }
    }

    private func input(_ golden: GoldenCase, _ session: Session) throws -> RGBImage {
        try golden.input(session.bundle.spec.input) { try runtime.decode($0, applyOrientation: false) }
    }

    private func trusted(_ id: String) throws -> Session {
        let session = try sessions.get(id)
        guard session.isTrusted else {
            throw Refusal(
                409, "golden_required", "this session has not passed the golden gate; nothing runs before that")
        }
        return session
    }

    /// Send the lines of a batch; if the runtime fails, an error is the last line.
    private func answer(
        _ session: Session, _ items: [ArraySlice<UInt8>], _ send: (JSON) throws -> Void,
        line: (Int, ArraySlice<UInt8>) throws -> FoundLine
    ) throws {
        for (index, item) in items.enumerated() {
            let message: JSON
            do {
                try checkForeground()
                message = try autoreleased { try line(index, item).message }
            } catch let error as MobileDetError {
                return try send(errorMessage(error.message, "refused"))
            } catch let interruption as Interruption {
                return try send(errorMessage(interruption.message, interruption.rawValue))
            }
            try send(message)
        }
    }

    /// Run the file on its input; `place` converts the boxes.
    private func detect(
        _ session: Session, _ input: RGBImage, _ started: Int, _ decoded: Int, place: (Box) -> Box
    ) throws -> ([Detection], StageTimes) {
        try session.detector.setInput(input)
        let prepared = monotonicNs()
        try invoke(session)
        let inferred = monotonicNs()
        let found = try session.detector.detections().map { detection in
            Detection(box: place(detection.box), score: detection.score, classIndex: detection.classIndex)
        }
        let times = StageTimes(
            decode: decoded - started, preprocess: prepared - decoded, infer: inferred - prepared,
            postprocess: monotonicNs() - inferred)
        return (found, times)
    }

    private func measure(
        _ session: Session, _ plan: BenchmarkPlan, _ checkCancelled: @escaping () throws -> Void
    ) throws -> BenchmarkSamples {
        let check = {
            try checkCancelled()
            try self.checkForeground()
        }
        while !turn.acquire(seconds: 0.2) { try check() }
        defer { turn.release() }
        let image = try input(session.golden.cases[0], session)
        let coldStarts = try (0..<Self.coldStarts).map { _ in
            try check()
            return try session.detector.coldStart(image)
        }
        let runner = Runner(
            prepare: { try session.detector.setInput(image) }, invoke: { try self.invoke(session) },
            readState: deviceState, betweenRuns: check)
        let runs = try TimedRuns(runner, plan)
        try checkForeground()
        return BenchmarkSamples(runs: runs, coldStarts: coldStarts)
    }

    private func invoke(_ session: Session) throws {
        do {
            try autoreleased { try session.detector.invoke() }
        } catch let interruption as Interruption {
            session.isLost = true
            throw interruption
        }
    }

    private func deviceState() -> DeviceState {
        var state = runtime.state()
        state.foreground = foreground.with { $0 }
        return state
    }

    private func checkForeground() throws {
        if foreground.with({ $0 }) == false { throw Interruption.background }
    }

    private func refuseInterrupted(_ session: Session?) throws {
        if session?.isLost == true { throw Refusal(.acceleratorLost) }
        if foreground.with({ $0 }) == false { throw Refusal(.background) }
    }

    private func withTurn<Result>(_ session: Session?, _ body: () throws -> Result) throws -> Result {
        try refuseInterrupted(session)
        guard turn.acquire(seconds: Self.busySeconds) else {
            throw Refusal(409, "busy", "the device is busy with other work; try again later")
        }
        defer { turn.release() }
        return try body()
    }
}
