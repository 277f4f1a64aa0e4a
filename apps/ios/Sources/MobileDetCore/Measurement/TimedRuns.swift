import Foundation

/// How long to measure: both the number of runs and the time are reached, first for the warm-up, then timed.
public struct BenchmarkPlan: Equatable, Sendable {
    public var warmupRuns = 10
    public var warmupSeconds = 1.0
    /// The warm-up goes on for up to so long in all until it is steady; 0 does not ask for that.
    public var warmupLimitSeconds = 10.0
    public var runs = 50
    public var seconds = 10.0
    /// A run begins when a camera of this rate has the next image; 0 begins each run when the last one has ended.
    public var fps = 0.0
    /// Time between two looks at the device's state during the timed runs; 0 looks before and after.
    public var stateSeconds = 5.0

    public init() {}
}

/// A loaded model file and the clock beside it.
struct Runner {
    /// Set the input; not timed.
    let prepare: () throws -> Void
    /// Run the file.
    let invoke: () throws -> Void
    let readState: () -> DeviceState
    /// Is called before each run and may throw to end them.
    let betweenRuns: () throws -> Void
    var clockNs: () -> Int = monotonicNs
    var sleep: (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }
}

/// What a benchmark measures of a loaded file: raw samples, nothing left out and nothing averaged.
///
/// Times of starts and states count from the start of the first timed run, with a rate from when it was due.
public struct TimedRuns: Equatable, Sendable {
    private static let steadyRatio = 1.05

    public let inferNs: [Int]
    public let startedNs: [Int]
    public let warmupNs: [Int]
    /// Whether the warm-up had become steady; true where the plan does not ask for that.
    public let steady: Bool
    public let states: [DeviceState]
    public let stateNs: [Int]

    /// Warm up and measure, as `apps/PROTOCOL.md` says under "Benchmark".
    init(_ runner: Runner, _ plan: BenchmarkPlan) throws {
        var warmup = Runs(runner, fps: plan.fps)
        while !warmup.reached(plan.warmupRuns, plan.warmupSeconds) || !warmup.isWarm(plan) { try warmup.add() }
        steady = plan.warmupLimitSeconds == 0 || Self.isSteady(warmup.inferNs, warmupRuns: plan.warmupRuns)
        warmupNs = warmup.inferNs

        var stateTimes = [runner.clockNs()], states = [runner.readState()]
        var timed = Runs(runner, fps: plan.fps)
        while !timed.reached(plan.runs, plan.seconds) {
            if plan.stateSeconds > 0, Double(runner.clockNs() - stateTimes.last!) >= plan.stateSeconds * 1e9 {
                stateTimes.append(runner.clockNs())
                states.append(runner.readState())
            }
            try timed.add()
        }
        stateTimes.append(runner.clockNs())
        states.append(runner.readState())
        self.states = states
        inferNs = timed.inferNs
        startedNs = timed.startedNs.map { $0 - timed.originNs }
        stateNs = stateTimes.map { $0 - timed.originNs }
    }

    /// Whether the latest runs take as long as those before them, half of `warmupRuns` each: medians within 5 %.
    static func isSteady(_ inferNs: [Int], warmupRuns: Int) -> Bool {
        let count = max(1, (warmupRuns + 1) / 2)
        guard inferNs.count >= 2 * count else { return false }
        let medians = [inferNs.suffix(count), inferNs.dropLast(count).suffix(count)].map { runs in
            let sorted = runs.sorted()
            return Double(sorted[count / 2] + sorted[(count - 1) / 2]) / 2
        }
        return medians.max()! <= steadyRatio * medians.min()!
    }
}

/// Runs of a file, one when each image of a camera is there, or one after the other.
private struct Runs {
    let runner: Runner
    let fps: Double
    let beganNs: Int
    private(set) var originNs: Int
    private(set) var inferNs: [Int] = []
    private(set) var startedNs: [Int] = []

    init(_ runner: Runner, fps: Double) {
        (self.runner, self.fps) = (runner, fps)
        beganNs = runner.clockNs()
        originNs = beganNs
    }

    func reached(_ least: Int, _ seconds: Double) -> Bool {
        inferNs.count >= least && spentSeconds >= seconds
    }

    func isWarm(_ plan: BenchmarkPlan) -> Bool {
        spentSeconds >= plan.warmupLimitSeconds || TimedRuns.isSteady(inferNs, warmupRuns: plan.warmupRuns)
    }

    mutating func add() throws {
        try runner.betweenRuns()
        try runner.prepare()
        if fps > 0 { try waitForImage() }
        let started = runner.clockNs()
        try runner.invoke()
        inferNs.append(runner.clockNs() - started)
        startedNs.append(started)
        if fps == 0 { originNs = startedNs[0] }
    }

    /// Since the first run was wanted.
    private var spentSeconds: Double { Double(runner.clockNs() - beganNs) / 1e9 }

    /// Until the camera has its next image; those that it took while the device was busy are lost.
    private mutating func waitForImage() throws {
        let now = runner.clockNs()
        guard let last = startedNs.last else {
            originNs = now
            return
        }
        let interval = 1e9 / fps
        let taken = (Double(last - originNs) / interval).rounded(.down)
        let there = (Double(now - originNs) / interval).rounded(.up)
        let due = Double(originNs) + max(taken + 1, there) * interval
        var left = due - Double(runner.clockNs())
        while left > 0 {
            // in short steps, so that a job of one frame a minute can be cancelled
            runner.sleep(min(left / 1e9, 0.5))
            try runner.betweenRuns()
            left = due - Double(runner.clockNs())
        }
    }
}
