/// The version of the agent protocol that is spoken here; see `apps/PROTOCOL.md`.
let protocolVersion = 1

// Bounds of what a request may ask for, as in `apps/protocol/messages.schema.json`.
private let keyLengths = 1...200
private let threadCounts = 0...512
private let mostRuns = 10_000_000
private let planSeconds = 0.0...86_400
private let mostFPS = 1000.0

/// What an agent takes at most.
public struct Limits: Equatable, Sendable {
    /// Of one request.
    public var bodyBytes = 512_000_000
    /// Of all files of a bundle, unpacked.
    public var bundleBytes = 1 << 30
    /// Open at a time.
    public var sessions = 4
    /// After so long without a request a session may be closed to make room for another.
    public var idleSeconds = 600
    /// Of one long poll.
    public var waitSeconds = 30

    public init() {}
}

/// Load a model file.
struct SessionRequest: Equatable {
    /// Chosen by the client at random; a request with the key of an open session gets that session.
    let key: String
    /// Its checksum.
    let bundle: String
    /// Path of the model file in the bundle.
    let file: String
    let accelerator: String
    /// Of the processor; 0 takes every core.
    let threads: Int

    init(_ message: JSON) throws {
        let fields = Fields(message, source: "the body is no SessionRequest")
        try fields.refuseOthers(than: ["key", "bundle", "file", "accelerator", "threads"])
        key = try fields.string("key", characters: keyLengths)
        bundle = try fields.string("bundle")
        file = try fields.string("file")
        accelerator = try fields.string("accelerator")
        threads = try fields.integer("threads", in: threadCounts)
    }
}

/// Measure the latency.
struct BenchRequest: Equatable {
    /// Chosen by the client at random; a request with the key of the session's job gets that job.
    let key: String
    let plan: BenchmarkPlan

    init(_ message: JSON) throws {
        let fields = Fields(message, source: "the body is no BenchRequest")
        try fields.refuseOthers(than: ["key", "plan"])
        key = try fields.string("key", characters: keyLengths)
        let given = try fields.object("plan")
        try given.refuseOthers(than: [
            "warmup_runs", "warmup_seconds", "warmup_limit_seconds", "runs", "seconds", "fps", "state_seconds",
        ])
        var plan = BenchmarkPlan()
        plan.warmupRuns = try given.integer("warmup_runs", in: 0...mostRuns)
        plan.warmupSeconds = try given.number("warmup_seconds", in: planSeconds)
        plan.warmupLimitSeconds = try given.number("warmup_limit_seconds", in: planSeconds)
        plan.runs = try given.integer("runs", in: 1...mostRuns)
        plan.seconds = try given.number("seconds", in: planSeconds)
        plan.fps = try given.number("fps", in: 0...mostFPS)
        plan.stateSeconds = try given.number("state_seconds", in: planSeconds)
        self.plan = plan
    }
}

/// What was found in one image of a batch.
struct FoundLine {
    let index: Int
    /// Of the decoded image in pixels; 1 for a tensor; 0 when it could not be decoded.
    let height: Int
    let width: Int
    let detections: [Detection]
    /// Nil when the image could not be decoded.
    let times: StageTimes?
    /// Why it could not be decoded; empty when it was.
    let problem: String
}

/// Nanoseconds of a monotonic clock for one image.
public struct StageTimes: Equatable, Sendable {
    /// JPEG to RGB.
    public let decode: Int
    /// Resize, copy into the input.
    public let preprocess: Int
    /// The model file alone.
    public let infer: Int
    /// Copy the outputs, scale the boxes to the image.
    public let postprocess: Int
}

/// What a benchmark gives: the timed runs, and the cold starts before them.
struct BenchmarkSamples {
    let runs: TimedRuns
    let coldStarts: [ColdStart]
}

/// How a benchmark stands.
struct JobInfo {
    enum Status: String {
        case running, done, failed, cancelled
    }

    let id: String
    var status = Status.running
    var samples: BenchmarkSamples?
    var error: (message: String, code: String)?
}
