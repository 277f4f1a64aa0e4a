import XCTest

@testable import MobileDetCore

final class MeasurementTests: XCTestCase {
    func testLatency() throws {
        for entry in try Vectors.cases("latency") {
            let name = try entry.text("name")
            let stats = try XCTUnwrap(LatencyStats(entry.list("samples_ns").compactMap { $0.integer }))
            XCTAssertEqual(stats.n, try entry.whole("n"), name)
            for (made, field) in [
                (stats.meanMs, "mean_ms"), (stats.stdMs, "std_ms"), (stats.minMs, "min_ms"), (stats.p50Ms, "p50_ms"),
                (stats.p90Ms, "p90_ms"), (stats.p95Ms, "p95_ms"),
            ] {
                let wanted = try entry.real(field)
                XCTAssertEqual(made, wanted, accuracy: 1e-9 * wanted, "\(name) \(field)")
            }
            XCTAssertEqual(stats.p99Ms == nil, try entry.field("p99_ms") == .null, name)
            if let made = stats.p99Ms { XCTAssertEqual(made, try entry.real("p99_ms"), accuracy: 1e-9 * made, name) }
            XCTAssertEqual(stats.throttled, try entry.flag("throttled"), name)
        }
        XCTAssertNil(LatencyStats([]))
    }

    func testSteady() throws {
        for entry in try Vectors.cases("steady") {
            let runs = try entry.list("infer_ns").compactMap { $0.integer }
            XCTAssertEqual(
                TimedRuns.isSteady(runs, warmupRuns: try entry.whole("warmup_runs")), try entry.flag("steady"),
                "\(runs)")
        }
    }

    /// A double of time: it goes on by what runs take, and when somebody sleeps, who oversleeps a little.
    private final class Clock {
        var now = 5_000_000_000
        var slept: [Double] = []
    }

    /// Time runs that take so many milliseconds each; to set the input and to read a state takes 1 ms.
    private func measure(
        _ plan: BenchmarkPlan, runMs: @escaping (Int) -> Double = { _ in 10 }
    ) throws -> (TimedRuns, Clock) {
        let clock = Clock()
        var count = 0
        let forward = { (ms: Double) in clock.now += Int(ms * 1e6) }
        let runner = Runner(
            prepare: { forward(1) },
            invoke: {
                forward(runMs(count))
                count += 1
            },
            readState: {
                forward(1)
                return DeviceState()
            },
            betweenRuns: {}, clockNs: { clock.now },
            sleep: {
                clock.slept.append($0)
                clock.now += Int($0 * 1e9) + 50_000
            })
        return (try TimedRuns(runner, plan), clock)
    }

    private func plan(_ change: (inout BenchmarkPlan) -> Void) -> BenchmarkPlan {
        var plan = BenchmarkPlan()
        (plan.warmupRuns, plan.warmupSeconds, plan.warmupLimitSeconds) = (0, 0, 0)
        (plan.runs, plan.seconds) = (1, 0)
        change(&plan)
        return plan
    }

    func testBothRunsAndSecondsAreReached() throws {
        for (runs, seconds, expected) in [(7, 0.0, 7), (1, 0.1, 10), (20, 0.1, 20)] {
            let (timed, _) = try measure(
                plan {
                    ($0.warmupRuns, $0.warmupSeconds, $0.runs, $0.seconds) = (runs, seconds, runs, seconds)
                })
            XCTAssertEqual(timed.inferNs, Array(repeating: 10_000_000, count: expected))
            XCTAssertEqual(timed.warmupNs, timed.inferNs)
            XCTAssertEqual(timed.startedNs, (0..<expected).map { 11_000_000 * $0 })
        }
    }

    func testWarmUpGoesOnUntilItIsSteady() throws {
        let (timed, _) = try measure(plan { ($0.warmupRuns, $0.warmupLimitSeconds) = (10, 10) }) {
            Double(max(10, 40 - $0))
        }
        XCTAssert(timed.steady)
        XCTAssert(30...40 ~= timed.warmupNs.count)
        XCTAssertEqual(timed.inferNs[0], 10_000_000)
    }

    func testWarmUpThatNeverIsSteadyEndsAndSaysSo() throws {
        let (timed, _) = try measure(plan { ($0.warmupRuns, $0.warmupLimitSeconds) = (10, 1) }) {
            10 * pow(1.05, Double($0))
        }
        XCTAssertFalse(timed.steady)
    }

    func testPacedRunsBeginWhenTheirImageIsThere() throws {
        let (timed, clock) = try measure(plan { ($0.runs, $0.fps) = (5, 20) })
        XCTAssertEqual(timed.startedNs, (0..<5).map { 50_000_000 * $0 + ($0 > 0 ? 50_000 : 0) })
        XCTAssertEqual(clock.slept.count, 4)
        XCTAssertEqual(clock.slept[0], 0.039, accuracy: 1e-9)
    }

    func testImagesThatComeWhileTheDeviceIsBusyAreLost() throws {
        let (timed, _) = try measure(plan { ($0.runs, $0.fps) = (6, 20) }) { $0 < 4 ? 70 : 10 }
        XCTAssertEqual(timed.startedNs.map { ($0 + 500_000) / 1_000_000 }, [0, 100, 200, 300, 400, 450])
    }

    func testStatesAreReadAlongTheWay() throws {
        let (timed, _) = try measure(plan { ($0.seconds, $0.stateSeconds) = (1, 0.3) })
        XCTAssertEqual(timed.states.count, 2 + 3)
        XCTAssertEqual(timed.stateNs.count, timed.states.count)
        XCTAssert(timed.stateNs[0] < 0 && 0 < timed.stateNs[1])
        XCTAssertGreaterThanOrEqual(timed.stateNs.last!, timed.startedNs.last! + timed.inferNs.last!)
        XCTAssertEqual(try measure(plan { ($0.seconds, $0.stateSeconds) = (1, 0) }).0.states.count, 2)
    }
}
