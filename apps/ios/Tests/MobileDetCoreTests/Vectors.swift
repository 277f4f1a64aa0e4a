import Foundation
import XCTest

@testable import MobileDetCore

/// `apps/testdata`, which every implementation passes; its README says what each file holds.
enum Vectors {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../testdata").standardizedFileURL
    static let bundles = folder.appendingPathComponent("bundles")

    static func cases(_ name: String) throws -> [JSON] {
        let content = try Data(contentsOf: folder.appendingPathComponent("\(name).json"))
        return try XCTUnwrap(try JSONParser.parse(content)["cases"]?.array)
    }
}

extension JSON {
    var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    func text(_ name: String) throws -> String { try XCTUnwrap(self[name]?.string, name) }
    func whole(_ name: String) throws -> Int { try XCTUnwrap(self[name]?.integer, name) }
    func real(_ name: String) throws -> Double { try XCTUnwrap(self[name]?.number, name) }
    func flag(_ name: String) throws -> Bool { try XCTUnwrap(self[name]?.bool, name) }
    func list(_ name: String) throws -> [JSON] { try XCTUnwrap(self[name]?.array, name) }
    func field(_ name: String) throws -> JSON { try XCTUnwrap(self[name], name) }
    func bytes(_ name: String) throws -> [UInt8] { Array(try XCTUnwrap(Data(base64Encoded: try text(name)))) }

    /// Numbers of 32 bits; the texts `NaN` and `Infinity` stand for themselves.
    func floats(_ name: String) throws -> [Float] { try list(name).flatMap { try $0.flattened() } }

    private func flattened() throws -> [Float] {
        switch self {
        case .array(let values): try values.flatMap { try $0.flattened() }
        case .string(let text): [try XCTUnwrap(Float(text))]
        default: [Float(try XCTUnwrap(number))]
        }
    }

    func image() throws -> RGBImage {
        RGBImage(height: try whole("height"), width: try whole("width"), pixels: try bytes("base64"))
    }

    /// Of a letterbox with its colour and place, which cases of a stretch do not have.
    func input(height: Int, width: Int) throws -> InputSpec {
        InputSpec(
            height: height, width: width, resize: try XCTUnwrap(InputSpec.Resize(rawValue: text("resize"))),
            sampling: try XCTUnwrap(InputSpec.Sampling(rawValue: text("sampling"))),
            padding: try self["padding"].map { try XCTUnwrap(InputSpec.Padding(rawValue: $0.string ?? "")) } ?? .grey,
            placement: try self["placement"].map { try XCTUnwrap(InputSpec.Corner(rawValue: $0.string ?? "")) }
                ?? .centre)
    }

    func tolerance() throws -> Tolerance { Tolerance(iou: Float(try real("iou")), score: Float(try real("score"))) }

    /// Rows of `boxes_xyxy` with `scores` and `labels`.
    func detections() throws -> [Detection] {
        let (sides, scores) = (try floats("boxes_xyxy"), try floats("scores"))
        return try list("labels").enumerated().map { row, label in
            Detection(box: box(sides, row), score: scores[row], classIndex: try XCTUnwrap(label.integer))
        }
    }
}

func box(_ sides: [Float], _ row: Int) -> Box {
    Box(x1: sides[4 * row], y1: sides[4 * row + 1], x2: sides[4 * row + 2], y2: sides[4 * row + 3])
}

/// The pixels of a PNG file in which nothing is packed, as those of the vectors; no picture library is at hand.
func storedPNG(_ file: [UInt8]) throws -> RGBImage {
    guard file.starts(with: [0x89, 0x50, 0x4E, 0x47]) else {
        throw MobileDetError("it is not an image of a known format")
    }
    func number(_ at: Int) -> Int { file[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } }
    var (at, width, height, packed) = (8, 0, 0, [UInt8]())
    while at < file.count {
        let (count, kind) = (number(at), file[at + 4..<at + 8])
        if kind.elementsEqual("IHDR".utf8) { (width, height) = (number(at + 8), number(at + 12)) }
        if kind.elementsEqual("IDAT".utf8) { packed += file[at + 8..<at + 8 + count] }
        at += count + 12
    }
    var (rows, block) = ([UInt8](), 2)  // behind the header of zlib: blocks with their length and its complement
    while block + 5 <= packed.count - 4 {
        let count = Int(packed[block + 1]) | Int(packed[block + 2]) << 8
        rows += packed[block + 5..<block + 5 + count]
        block += 5 + count
    }
    let stride = 3 * width + 1  // a byte of its filter before each row
    var pixels: [UInt8] = []
    for row in 0..<height { pixels += rows[row * stride + 1..<(row + 1) * stride] }
    return RGBImage(height: height, width: width, pixels: pixels)
}

/// A folder that is removed at the end of a test.
func temporaryFolder(for test: XCTestCase) throws -> URL {
    let url = try temporaryFolder("mobiledet-test")
    test.addTeardownBlock { try? FileManager.default.removeItem(at: url) }
    return url
}

func assertRefused(
    _ message: String = "", _ body: () throws -> Void, file: StaticString = #filePath, line: UInt = #line
) {
    XCTAssertThrowsError(try body(), message, file: file, line: line) { error in
        XCTAssert(error is MobileDetError, "\(message): \(error)", file: file, line: line)
    }
}
