#if canImport(CoreML)
    import Foundation
    import MobileDetCore
    import XCTest

    @testable import MobileDetKit

    /// Holds a bundle's Core ML files against its golden outputs in the real runtime, by compute unit, and times them.
    ///
    /// Nobody has run it yet. On a Mac, in `apps/ios`:
    ///
    ///     MOBILEDET_BUNDLE=/path/to/x.mobiledet swift test --filter CoreMLVerificationTests
    final class CoreMLVerificationTests: XCTestCase {
        func testGoldenOutputsOnEveryUnit() throws {
            guard let path = ProcessInfo.processInfo.environment["MOBILEDET_BUNDLE"] else {
                throw XCTSkip("set MOBILEDET_BUNDLE to the path of a bundle")
            }
            let bundle = try ModelBundle(at: URL(fileURLWithPath: path))
            let files = bundle.files.filter { $0.format == "coreml" }
            XCTAssertFalse(files.isEmpty, "\(path) holds no Core ML file")
            for file in files {
                let golden = try bundle.golden(file)
                let inputs = try golden.cases.map { golden in
                    try golden.input(bundle.spec.input) { try RGBImage(file: Data($0)) }
                }
                for unit in ComputeUnit.allCases {
                    let detector = try CoreMLDetector(bundle, file, accelerator: unit.rawValue)
                    let gate = GoldenGate(bundle.spec, golden, accelerator: detector.execution.actual)
                    do {
                        var left = inputs[...]
                        let report = try gate.replay(golden.cases) { _ in
                            try detector.setInput(left.removeFirst())
                            try detector.invoke()
                            return try detector.detections()
                        }
                        let latency = try XCTUnwrap(time(detector, inputs[0]))
                        let execution = detector.execution
                        let share = execution.delegatedShare.map { String(format: " (%.0f %%)", 100 * $0) } ?? ""
                        print(
                            "\(file.path) \(unit.rawValue): runs on \(execution.actual)\(share),",
                            "lowest IoU \(report.lowestIoU), largest score difference \(report.largestScoreDifference),",
                            String(
                                format: "p50 %.3f ms, p90 %.3f ms of %d runs", latency.p50Ms, latency.p90Ms, latency.n))
                    } catch let error as MobileDetError {
                        XCTFail("\(file.path) on \(unit.rawValue): \(error.message)")
                    }
                }
            }
        }

        private func time(_ detector: CoreMLDetector, _ image: RGBImage) throws -> LatencyStats? {
            var samples: [Int] = []
            for run in 0..<60 {
                try detector.setInput(image)
                let started = monotonicNs()
                try detector.invoke()
                if run >= 10 { samples.append(monotonicNs() - started) }
            }
            return LatencyStats(samples)
        }

        func testPixelsSurviveABuffer() throws {
            let pixels = (0..<32 * 64 * 3).map { UInt8(truncatingIfNeeded: $0 * 31) }
            let image = RGBImage(height: 32, width: 64, pixels: pixels)
            let buffer = try newPixelBuffer(height: 32, width: 64)
            try image.copy(to: buffer)
            let preprocessor = Preprocessor(InputSpec(height: 32, width: 64, sampling: .mean))
            XCTAssertEqual(try buffer.withFrame { preprocessor.prepare($0) }, image)
            XCTAssertThrowsError(try image.copy(to: newPixelBuffer(height: 64, width: 32)))
            XCTAssertThrowsError(try RGBImage(file: Data("no picture".utf8)))
        }
    }
#endif
