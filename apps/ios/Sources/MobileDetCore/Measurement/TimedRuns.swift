import Foundation

/// How long to measure: until both the number of runs and the time are reached, first for the warm-up, then for timed runs.
public struct BenchmarkPlan: Equatable, Sendable {
    public var warmupRuns = 10
    public var warmupSeconds = 1.0
    /// Limit for the whole warm-up, which continues until it is steady; 0 does not wait for a steady state.
    public var warmupLimitSeconds = 10.0
    public var runs = 50
    public var seconds = 10.0
    /// Rate of a simulated camera: a run begins when its next image arrives; 0 runs without pause.
    public var fps = 0.0
    /// Time between two readings of the device's state during the timed runs; 0 reads it only before and after.
    public var stateSeconds = 5.0

    public init() {}
}

/// Functions to run a loaded model file and to read clock and state.
struct Runner {
    /// Set the input; not timed.
    let prepare: () throws -> Void
    /// Run the file.
    let invoke: () throws -> Void
    let readState: () -> DeviceState
    /// Called before each run; may throw to stop the benchmark.
    let betweenRuns: () throws -> Void
    var clockNs: () -> Int = monotonicNs
    var sleep: (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }
}

/// The measurements of a loaded file: all raw samples, without averaging.
///
/// Times of starts and states count from the start of the first timed run; with a camera rate, from when it was due.
public struct TimedRuns: Equatable, Sendable {
    private static let steadyRatio = 1.05

    public let inferNs: [Int]
    public let startedNs: [Int]
    public let warmupNs: [Int]
    /// Whether the warm-up became steady; true if the plan does not wait for it.
    public let steady: Bool
    public let states: [DeviceState]
    public let stateNs: [Int]

    /// Warm up and measure; see "Benchmark" in `apps/PROTOCOL.md`.
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

    /// Whether the medians of the latest runs and of those before (half of `warmupRuns` each) are within 5 %.
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

/// Runs of a file, at the rate of a camera or without pause.
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

    /// Time since the start, in seconds.
    private var spentSeconds: Double { Double(runner.clockNs() - beganNs) / 1e9 }

    /// Wait for the next image of the camera; images that arrived while the device was busy are skipped.
    private mutating func waitForImage() throws {
        let now = runner.clockNs()
        guard let last = startedNs.last else {
            originNs = now
            return
        }
        let interval = 1e9 / fps
        let lastImage = (Double(last - originNs) / interval).rounded(.down)
        let newestImage = (Double(now - originNs) / interval).rounded(.up)
        let due = Double(originNs) + max(lastImage + 1, newestImage) * interval
        var left = due - Double(runner.clockNs())
        while left > 0 {
            // in short steps, so that a job with a low frame rate can be cancelled
            runner.sleep(min(left / 1e9, 0.5))
            try runner.betweenRuns()
            left = due - Double(runner.clockNs())
        }
    }
}
