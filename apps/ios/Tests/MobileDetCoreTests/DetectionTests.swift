import XCTest

@testable import MobileDetCore

final class DetectionTests: XCTestCase {
    func testGraphOutputs() throws {
        for entry in try Vectors.cases("detections") {
            let categoryIDs = try entry.list("category_ids").map { $0.integer }
            let decode = {
                try Decoding.graph(
                    boxes: entry.floats("boxes"), classes: entry.floats("classes"), scores: entry.floats("scores"),
                    count: entry.floats("count")[0], classCount: categoryIDs.count)
            }
            guard try entry.flag("sound") else {
                assertRefused { _ = try decode() }
                continue
            }
            let (width, height) = (Float(try entry.whole("width")), Float(try entry.whole("height")))
            let found = try decode()
            XCTAssertEqual(found.map(\.classIndex), try entry.list("labels").map { $0.integer })
            XCTAssertEqual(found.map(\.score), try entry.floats("found_scores"))
            XCTAssertEqual(
                found.map { categoryIDs[$0.classIndex] }, try entry.list("found_category_ids").map { $0.integer })
            let wanted = try entry.floats("boxes_xyxy")
            for (row, detection) in found.enumerated() {
                let made = detection.box.scaled(width: width, height: height), sides = box(wanted, row)
                for (a, b) in [(made.x1, sides.x1), (made.y1, sides.y1), (made.x2, sides.x2), (made.y2, sides.y2)] {
                    XCTAssertEqual(a, b, accuracy: 1e-4)
                }
            }
        }
    }

    func testVisionOutputsAreTheSameDetections() throws {
        for entry in try Vectors.cases("detections") where try entry.flag("sound") {
            let classCount = try entry.list("category_ids").count
            let found = try Decoding.graph(
                boxes: entry.floats("boxes"), classes: entry.floats("classes"), scores: entry.floats("scores"),
                count: entry.floats("count")[0], classCount: classCount)
            var coordinates: [Float] = [], confidence: [Float] = []
            for detection in found.reversed() {
                let box = detection.box
                coordinates += [(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, box.x2 - box.x1, box.y2 - box.y1]
                confidence += (0..<classCount).map { $0 == detection.classIndex ? detection.score : 0 }
            }
            // a row of padding
            let made = try Decoding.vision(
                coordinates: coordinates + [0, 0, 0, 0],
                confidence: confidence + Array(repeating: 0, count: classCount),
                classCount: classCount)
            XCTAssertEqual(made.map(\.classIndex), found.map(\.classIndex))
            XCTAssertEqual(made.map(\.score), found.map(\.score))
            for (a, b) in zip(made, found) { XCTAssertGreaterThan(a.box.iou(b.box), 0.99999) }
        }
        let beyond = try Decoding.vision(coordinates: [0.5, 0.9, 1.2, 0.4], confidence: [1], classCount: 1)[0].box
        XCTAssertEqual([beyond.x1, beyond.x2, beyond.y2], [0, 1, 1])
        XCTAssertEqual(beyond.y1, 0.7, accuracy: 1e-6)
        assertRefused { _ = try Decoding.vision(coordinates: [0, 0, 1], confidence: [1], classCount: 1) }
        assertRefused { _ = try Decoding.vision(coordinates: [0, 0, 1, .nan], confidence: [1], classCount: 1) }
        assertRefused { _ = try Decoding.vision(coordinates: [0, 0, 1, 1], confidence: [1, 1, 1], classCount: 2) }
    }

    func testGoldenGate() throws {
        for entry in try Vectors.cases("gate") {
            let name = try entry.text("name"), nms = try entry.field("nms"), tolerances = try entry.field("tolerance")
            let cases = try entry.list("expected").map { expected in
                GoldenCase(
                    content: [], isEncoded: false, expected: try expected.detections(),
                    cut: Float(try entry.real("cut")))
            }
            let file = GoldenFile(
                cases: cases, runtime: "none", cpu: try tolerances.field("cpu").tolerance(),
                accelerated: try tolerances.field("accelerated").tolerance())
            let gate = GoldenGate(
                nms: NMSSpec(
                    iou: Float(try nms.real("iou")), score: Float(try nms.real("score")), topK: try nms.whole("top_k"),
                    maxDetections: try nms.whole("max_detections")),
                labels: try entry.list("labels").compactMap { $0.string },
                tolerance: file.tolerance(try entry.text("accelerator")))
            var answers = try entry.list("found").map { try $0.detections() }[...]
            guard try entry.flag("opens") else {
                XCTAssertThrowsError(try gate.replay(cases) { _ in answers.removeFirst() }, name) { error in
                    let problem = try! entry.text("problem")
                    XCTAssert("\(error)".contains(problem), "\(name): \(error), not \(problem)")
                }
                continue
            }
            let report = try gate.replay(cases) { _ in answers.removeFirst() }, wanted = try entry.field("report")
            XCTAssertEqual(report.cases, try wanted.whole("cases"), name)
            XCTAssertEqual(report.detections, try wanted.whole("detections"), name)
            XCTAssertEqual(Double(report.lowestIoU), try wanted.real("lowest_iou"), accuracy: 1e-5, name)
            XCTAssertEqual(
                Double(report.largestScoreDifference), try wanted.real("largest_score_difference"), accuracy: 1e-5, name
            )
        }
    }
}
