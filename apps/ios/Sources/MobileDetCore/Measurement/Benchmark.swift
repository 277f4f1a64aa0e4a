import Foundation

/// A benchmark of a model file on this device, after the golden gate.
public struct Benchmark: Sendable {
    public let execution: Execution
    public let golden: GoldenReport
    public let coldStart: ColdStart
    public let runs: TimedRuns
    public let latency: LatencyStats

    /// Load a file, replay the golden inputs, then warm up and measure according to `plan`.
    ///
    /// - Parameters:
    ///   - url: location of the bundle.
    ///   - file: path or precision of a model file; by default the first Core ML file.
    /// - Throws: `MobileDetError` if the file cannot be run or the golden gate fails.
    public static func run(
        _ url: URL, _ runtime: any DetectorRuntime, file: String = "", accelerator: String = "auto",
        plan: BenchmarkPlan = BenchmarkPlan()
    ) throws -> Benchmark {
        let bundle = try ModelBundle(at: url), file = try bundle.file(file), golden = try bundle.golden(file)
        let detector = try runtime.load(bundle, file, accelerator: accelerator, threads: 0)
        let gate = GoldenGate(bundle.spec, golden, accelerator: detector.execution.actual)
        let input = { (golden: GoldenCase) in
            try golden.input(bundle.spec.input) { try runtime.decode($0, applyOrientation: false) }
        }
        let report = try gate.replay(golden.cases) { golden in
            try detector.setInput(input(golden))
            try detector.invoke()
            return try detector.detections()
        }
        let image = try input(golden.cases[0])
        let coldStart = try detector.coldStart(image)
        let runs = try TimedRuns(
            Runner(
                prepare: { try detector.setInput(image) }, invoke: { try autoreleased { try detector.invoke() } },
                readState: runtime.state, betweenRuns: {}), plan)
        guard let latency = LatencyStats(runs.inferNs) else {
            throw MobileDetError("the plan must have at least one run")
        }
        return Benchmark(
            execution: detector.execution, golden: report, coldStart: coldStart, runs: runs, latency: latency)
    }
}
