/// The version of the agent protocol that is implemented here; see `apps/PROTOCOL.md`.
let protocolVersion = 1

// Valid ranges of requests, as in `apps/protocol/messages.schema.json`.
private let keyLengths = 1...200
private let threadCounts = 0...512
private let maxRuns = 10_000_000
private let planSeconds = 0.0...86_400
private let maxFPS = 1000.0

/// Limits of an agent.
public struct Limits: Equatable, Sendable {
    /// Size of the body of one request.
    public var bodyBytes = 512_000_000
    /// Unpacked size of a bundle.
    public var bundleBytes = 1 << 30
    /// Number of sessions that may be open at a time.
    public var sessions = 4
    /// Time without requests after which a session may be closed to open another one.
    public var idleSeconds = 600
    /// Time limit of one long poll.
    public var waitSeconds = 30

    public init() {}
}

/// Request to load a model file.
struct SessionRequest: Equatable {
    /// Chosen by the client at random; a request with the key of an open session gets that session.
    let key: String
    /// Checksum of the bundle.
    let bundle: String
    /// Path of the model file in the bundle.
    let file: String
    let accelerator: String
    /// Number of CPU threads; 0 uses every core.
    let threads: Int

    init(_ message: JSON) throws {
        let fields = Fields(message, source: "the body is not a SessionRequest")
        try fields.refuseOthers(than: ["key", "bundle", "file", "accelerator", "threads"])
        key = try fields.string("key", characters: keyLengths)
        bundle = try fields.string("bundle")
        file = try fields.string("file")
        accelerator = try fields.string("accelerator")
        threads = try fields.integer("threads", in: threadCounts)
    }
}

/// Request for a benchmark.
struct BenchRequest: Equatable {
    /// Chosen by the client at random; a request with the key of the session's job gets that job.
    let key: String
    let plan: BenchmarkPlan

    init(_ message: JSON) throws {
        let fields = Fields(message, source: "the body is not a BenchRequest")
        try fields.refuseOthers(than: ["key", "plan"])
        key = try fields.string("key", characters: keyLengths)
        let given = try fields.object("plan")
        try given.refuseOthers(than: [
            "warmup_runs", "warmup_seconds", "warmup_limit_seconds", "runs", "seconds", "fps", "state_seconds",
        ])
        var plan = BenchmarkPlan()
        plan.warmupRuns = try given.integer("warmup_runs", in: 0...maxRuns)
        plan.warmupSeconds = try given.number("warmup_seconds", in: planSeconds)
        plan.warmupLimitSeconds = try given.number("warmup_limit_seconds", in: planSeconds)
        plan.runs = try given.integer("runs", in: 1...maxRuns)
        plan.seconds = try given.number("seconds", in: planSeconds)
        plan.fps = try given.number("fps", in: 0...maxFPS)
        plan.stateSeconds = try given.number("state_seconds", in: planSeconds)
        self.plan = plan
    }
}

/// Detections in one image of a batch.
struct FoundLine {
    let index: Int
    /// Size of the decoded image in pixels; 1 for a tensor; 0 if it could not be decoded.
    let height: Int
    let width: Int
    let detections: [Detection]
    /// Nil if the image could not be decoded.
    let times: StageTimes?
    /// Why it could not be decoded; empty if it could.
    let problem: String
}

/// Time of each step for one image, in nanoseconds of a monotonic clock.
public struct StageTimes: Equatable, Sendable {
    /// Decoding the image file to RGB.
    public let decode: Int
    /// Resizing, and copying into the input.
    public let preprocess: Int
    /// Running the model file.
    public let infer: Int
    /// Copying the outputs, and converting boxes to pixels of the image.
    public let postprocess: Int
}

/// Results of a benchmark: the timed runs, and the cold starts before them.
struct BenchmarkSamples {
    let runs: TimedRuns
    let coldStarts: [ColdStart]
}

/// Status of a benchmark.
struct JobInfo {
    enum Status: String {
        case running, done, failed, cancelled
    }

    let id: String
    var status = Status.running
    var samples: BenchmarkSamples?
    var error: (message: String, code: String)?
}
