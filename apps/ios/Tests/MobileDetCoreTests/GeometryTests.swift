import XCTest

@testable import MobileDetCore

final class GeometryTests: XCTestCase {
    func testResizeIsThatOfTheVectors() throws {
        for entry in try Vectors.cases("resize") {
            let (image, resized) = (try entry.field("image").image(), try entry.field("resized").image())
            let size = try entry.input(height: resized.height, width: resized.width)
            XCTAssertEqual(image.fitted(to: size), resized, "\(image.height) x \(image.width) to \(size)")
        }
    }

    func testPlacementIsThatOfTheVectors() throws {
        for entry in try Vectors.cases("placement") {
            let sides = try entry.list("input").map { try XCTUnwrap($0.integer) }
            let size = try entry.input(height: sides[0], width: sides[1])
            let placement = Placement(height: try entry.whole("height"), width: try entry.whole("width"), in: size)
            let part = [placement.top, placement.left, placement.height, placement.width]
            XCTAssertEqual(part, try entry.list("part").map { $0.integer })
            let (boxes, expected) = (try entry.floats("boxes"), try entry.floats("in_picture"))
            let found = (0..<boxes.count / 4).map { placement.toImage(box(boxes, $0)) }
            XCTAssertEqual(found, (0..<boxes.count / 4).map { box(expected, $0) })
            let seen = found.map { placement.visible($0) }
            let rows = seen.indices.filter { seen[$0] != nil }
            XCTAssertEqual(rows, try entry.list("visible_rows").map { $0.integer })
            let visible = try entry.floats("visible")
            XCTAssertEqual(seen.compactMap { $0 }, rows.indices.map { box(visible, $0) })
        }
    }

    func testOrientation() throws {
        for entry in try Vectors.cases("orientation") {
            let orientation = try XCTUnwrap(Orientation(rawValue: entry.whole("orientation")))
            let stored = try entry.field("stored").image(), upright = try entry.field("upright").image()
            XCTAssertEqual(stored.turned(orientation), upright)
            XCTAssertEqual(upright.turned(orientation.inverse), stored)
            let (from, to) = (try entry.floats("stored_boxes"), try entry.floats("upright_boxes"))
            for row in 0..<from.count / 4 {
                let fractions = box(from, row).scaled(width: 1 / Float(stored.width), height: 1 / Float(stored.height))
                let turned = fractions.turned(orientation)
                    .scaled(width: Float(upright.width), height: Float(upright.height))
                let wanted = box(to, row)
                for (a, b) in [
                    (turned.x1, wanted.x1), (turned.y1, wanted.y1), (turned.x2, wanted.x2), (turned.y2, wanted.y2),
                ] {
                    XCTAssertEqual(a, b, accuracy: 1e-5)
                }
            }
            let (points, uprightPoints) = (try entry.floats("stored_points"), try entry.floats("upright_points"))
            for row in stride(from: 0, to: points.count, by: 2) {
                let (x, y) = orientation.upright(
                    x: points[row] / Float(stored.width), y: points[row + 1] / Float(stored.height))
                XCTAssertEqual(x * Float(upright.width), uprightPoints[row], accuracy: 1e-5)
                XCTAssertEqual(y * Float(upright.height), uprightPoints[row + 1], accuracy: 1e-5)
            }
        }
    }

    func testAnglesOfCamerasTurnClockwise() {
        // a row of two pixels, red and green; after a quarter turn clockwise red is above green
        let row = RGBImage(height: 1, width: 2, pixels: [255, 0, 0, 0, 255, 0])
        let column = RGBImage(height: 2, width: 1, pixels: [255, 0, 0, 0, 255, 0])
        XCTAssertEqual(row.turned(Orientation(clockwise: 90)), column)
        XCTAssertEqual(column.turned(Orientation(clockwise: 270)), row)
        XCTAssertEqual(row.turned(Orientation(clockwise: 180)).pixels, [0, 255, 0, 255, 0, 0])
        let angles = [0, 90, 180, 270, 360, -90, -180, 450, 89.6].map { Orientation(clockwise: $0).rawValue }
        XCTAssertEqual(angles, [1, 6, 3, 8, 1, 8, 3, 6, 6])
    }

    func testBoxesLieOnThePreview() {
        let image: (height: Float, width: Float) = (480, 640)
        let box = Box(x1: 64, y1: 96, x2: 320, y2: 240)  // a tenth to a half across, a fifth to a half down
        func onView(_ height: Float, _ width: Float, _ degrees: Double = 0, mirrored: Bool = false, fills: Bool = false)
            -> Box
        {
            PreviewGeometry(
                image: image, view: (height, width), turn: Orientation(clockwise: degrees), isMirrored: mirrored,
                fills: fills
            ).toView(box)
        }
        func check(_ found: Box, _ x1: Float, _ y1: Float, _ x2: Float, _ y2: Float, line: UInt = #line) {
            for (a, b) in [(found.x1, x1), (found.y1, y1), (found.x2, x2), (found.y2, y2)] {
                XCTAssertEqual(a, b, accuracy: 1e-3, line: line)
            }
        }
        check(onView(240, 320), 32, 48, 160, 120)
        check(onView(440, 320), 32, 148, 160, 220)  // 100 above and below
        check(onView(240, 320, mirrored: true), 160, 48, 288, 120)
        // 480 high, so 640 wide, of which the view shows the middle
        check(onView(480, 320, fills: true), -96, 96, 160, 240)
        // turned clockwise: what was left is above, what was above is on the right
        check(onView(320, 240, 90), 120, 32, 192, 160)
        check(onView(320, 240, 90, mirrored: true), 48, 32, 120, 160)
        check(onView(320, 240, -90), 48, 160, 120, 288)
        check(onView(240, 320, 180), 160, 120, 288, 192)
    }

    func testEXIF() throws {
        for entry in try Vectors.cases("exif") {
            let name = try entry.text("name")
            XCTAssertEqual(
                Orientation(ofFile: try entry.bytes("base64")).rawValue, try entry.whole("orientation"), name)
        }
    }
}
