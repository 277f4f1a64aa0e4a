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

    func testEXIF() throws {
        for entry in try Vectors.cases("exif") {
            let name = try entry.text("name")
            XCTAssertEqual(
                Orientation(ofFile: try entry.bytes("base64")).rawValue, try entry.whole("orientation"), name)
        }
    }
}
