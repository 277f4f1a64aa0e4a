import XCTest

@testable import MobileDetCore

final class TrackingTests: XCTestCase {
    func testObjectsAreFollowedAndCountedAsOnTheHost() throws {
        let all = try Vectors.cases("tracking")
        XCTAssertGreaterThan(all.count, 10)
        for entry in all {
            var tracker = try tracker(entry)
            var counter = try counter(entry)
            for (place, frame) in try entry.list("frames").enumerated() {
                let name = "\(try entry.text("name")), frame \(place)"
                let found = try frame.detections()
                let tracked = tracker.update(found)
                counter.update(tracked)
                XCTAssertEqual(tracked.objects.map(\.id), try whole(frame, "ids"), name)
                XCTAssertEqual(tracked.objects.map(\.source), try whole(frame, "sources"), name)
                XCTAssertEqual(tracked.ended, try whole(frame, "ended"), name)
                XCTAssertEqual(tracked.leftOut, try frame.whole("left_out"), name)
                let boxes = tracked.objects.map(\.detection.box)
                XCTAssertEqual(boxes.flatMap { [$0.x1, $0.y1, $0.x2, $0.y2] }, try frame.floats("tracked_xyxy"), name)
                for object in tracked.objects {
                    XCTAssertEqual(object.detection.classIndex, found[object.source].classIndex, name)
                    XCTAssertEqual(object.detection.score, found[object.source].score, name)
                }
                XCTAssertEqual(counter.lines.map { [$0.toRight, $0.toLeft] }, try tallies(frame, "lines"), name)
                XCTAssertEqual(counter.zones.map { [$0.now, $0.visitors] }, try tallies(frame, "zones"), name)
            }
        }
    }

    private func tracker(_ entry: JSON) throws -> Tracker {
        let values = try entry.field("settings")
        var settings = TrackerSettings()
        settings.weak = try values.real("weak")
        settings.matchIoU = try values.real("match_iou")
        settings.weakIoU = try values.real("weak_iou")
        settings.confirmIoU = try values.real("confirm_iou")
        settings.confirm = try values.whole("confirm")
        settings.keepLost = try values.whole("keep_lost")
        settings.smoothing = try values.real("smoothing")
        settings.anyClass = try values.flag("any_class")
        if let one = try entry.field("confident").number { return Tracker(confident: one, settings: settings) }
        let thresholds = try entry.list("confident").map { try XCTUnwrap($0.number) }
        return Tracker(settings: settings) { thresholds[$0] }
    }

    private func counter(_ entry: JSON) throws -> Counter {
        let lines = try entry.list("lines").map { line in
            LineCount(
                name: try line.text("name"), start: try point(line.field("start")), end: try point(line.field("end")),
                margin: try line.real("margin"))
        }
        let zones = try entry.list("zones").map { zone in
            ZoneCount(name: try zone.text("name"), corners: try zone.list("corners").map(point))
        }
        let counted = try XCTUnwrap(Counter.Point(rawValue: try entry.text("point")))
        return Counter(lines: lines, zones: zones, point: counted)
    }

    private func point(_ values: JSON) throws -> CountingPoint {
        let numbers = try XCTUnwrap(values.array).map { try XCTUnwrap($0.number) }
        return CountingPoint(x: numbers[0], y: numbers[1])
    }

    private func whole(_ frame: JSON, _ name: String) throws -> [Int] {
        try frame.list(name).map { try XCTUnwrap($0.integer) }
    }

    /// Of each line or zone two tallies, by label.
    private func tallies(_ frame: JSON, _ name: String) throws -> [[[Int: Int]]] {
        try frame.list(name).map { pair in
            try XCTUnwrap(pair.array).map { tally in
                let fields = try XCTUnwrap(tally.members).map {
                    (try XCTUnwrap(Int($0.name)), try XCTUnwrap($0.value.integer))
                }
                return Dictionary(uniqueKeysWithValues: fields)
            }
        }
    }
}
