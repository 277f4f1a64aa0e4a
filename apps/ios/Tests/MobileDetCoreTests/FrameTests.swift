import Foundation
import XCTest

@testable import MobileDetCore

final class FrameTests: XCTestCase {
    func testFramesBecomeTheInputOfTheVectors() throws {
        for entry in try Vectors.cases("frames") {
            let input = try entry.input(height: entry.whole("height"), width: entry.whole("width"))
            let orientation = try XCTUnwrap(Orientation(rawValue: entry.whole("orientation")))
            try StoredFrame(entry.field("frame")).use { frame in
                let made = Preprocessor(input).prepare(frame, orientation: orientation)
                XCTAssertEqual(made.pixels, try entry.bytes("input"), "\(entry)")
                XCTAssertEqual(frame.toRGB().turned(orientation).fitted(to: input), made, "\(entry)")
            }
        }
    }

    func testOnePassEqualsTheSeparateSteps() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<150 {
            let (height, width) = (Int.random(in: 1...70, using: &random), Int.random(in: 1...70, using: &random))
            let (cropHeight, cropWidth) = (Int.random(in: 1...height), Int.random(in: 1...width))
            let crop = Crop(
                left: Int.random(in: 0...width - cropWidth), top: Int.random(in: 0...height - cropHeight),
                width: cropWidth, height: cropHeight)
            let input = InputSpec(
                height: Int.random(in: 1...40), width: Int.random(in: 1...40),
                resize: InputSpec.Resize.allCases.randomElement()!,
                sampling: InputSpec.Sampling.allCases.randomElement()!)
            let orientation = Orientation.allCases.randomElement()!
            let stored = StoredFrame(noiseOf: height, width, YUVMatrix.allCases.randomElement()!, crop)
            stored.use { frame in
                let steps = frame.toRGB().turned(orientation).fitted(to: input)
                XCTAssertEqual(
                    Preprocessor(input).prepare(frame, orientation: orientation), steps,
                    "\(crop) of \(height) x \(width), \(orientation), \(input)")
            }
        }
    }

    func testFramesOfOtherSizesAndTurnsFollowEachOther() {
        let input = InputSpec(height: 32, width: 40, resize: .letterbox, sampling: .mean, padding: .black)
        let kept = Preprocessor(input)
        for (height, width) in [(48, 64), (64, 48), (48, 64), (7, 90)] {
            for orientation in [Orientation.upright, .quarterTurnLeft] {
                StoredFrame(noiseOf: height, width, .bt601Full, nil).use { frame in
                    let image = frame.toRGB()
                    let made = Preprocessor(input).prepare(frame, orientation: orientation)
                    XCTAssertEqual(kept.prepare(frame, orientation: orientation), made)
                    XCTAssertEqual(kept.prepare(image, orientation: orientation), made)
                }
            }
        }
    }

    func testMemoryIsReused() {
        let preprocessor = Preprocessor(InputSpec(height: 32, width: 32, sampling: .mean))
        func address(_ image: RGBImage) -> UnsafeRawPointer? {
            image.pixels.withUnsafeBytes { $0.baseAddress }
        }
        StoredFrame(noiseOf: 48, 64, .bt601Video, nil).use { frame in
            let first = address(preprocessor.prepare(frame))
            XCTAssertEqual(address(preprocessor.prepare(frame)), first)
            let kept = preprocessor.prepare(frame)
            let copy = kept.pixels
            XCTAssertNotEqual(address(preprocessor.prepare(frame, orientation: .upsideDown)), first)
            XCTAssertEqual(kept.pixels, copy)  // an image that somebody holds is not overwritten
        }
    }
}

/// The planes of a frame in memory.
private struct StoredFrame {
    typealias Plane = (bytes: [UInt8], rowStride: Int, pixelStride: Int)

    private let height: Int
    private let width: Int
    private let planes: [Plane]
    private let crop: Crop?
    private let format: String
    private let matrix: YUVMatrix?

    init(_ entry: JSON) throws {
        (height, width, format) = (try entry.whole("height"), try entry.whole("width"), try entry.text("format"))
        planes = try entry.list("planes").map {
            (try $0.bytes("base64"), try $0.whole("row_stride"), try $0.whole("pixel_stride"))
        }
        let sides = try entry.list("crop").map { try XCTUnwrap($0.integer) }
        crop = Crop(left: sides[0], top: sides[1], width: sides[2], height: sides[3])
        matrix = try entry["matrix"].map { try XCTUnwrap(YUVMatrix(rawValue: $0.string ?? "")) }
    }

    /// Noise, with interleaved chroma as cameras give it.
    init(noiseOf height: Int, _ width: Int, _ matrix: YUVMatrix, _ crop: Crop?) {
        func noise(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255) } }
        let (rows, columns) = ((height + 1) / 2, (width + 1) / 2)
        let chroma = noise(rows * columns * 2)
        (self.height, self.width, self.crop, self.matrix, format) = (height, width, crop, matrix, "yuv")
        planes = [
            (noise(height * width), width, 1), (chroma, columns * 2, 2), (Array(chroma.dropFirst()), columns * 2, 2),
        ]
    }

    func use(_ body: (Frame) throws -> Void) rethrows { try use([], body) }

    private func use(_ ready: [Frame.Plane], _ body: (Frame) throws -> Void) rethrows {
        guard ready.count == planes.count else {
            let next = planes[ready.count]
            try next.bytes.withUnsafeBufferPointer {
                let plane = Frame.Plane($0, rowStride: next.rowStride, pixelStride: next.pixelStride)
                try use(ready + [plane], body)
            }
            return
        }
        if let matrix {
            let frame = Frame(
                height: height, width: width, y: ready[0], u: ready[1], v: ready[2], matrix: matrix, crop: crop)
            try body(frame)
        } else {
            let red = format == "bgra" ? 2 : 0
            let frame = Frame(
                height: height, width: width, packed: ready[0], red: red, green: 1, blue: 2 - red, crop: crop)
            try body(frame)
        }
    }
}

extension Frame {
    /// The picture as RGB, step by step: the reference of the tests.
    func toRGB() -> RGBImage {
        var pixels: [UInt8] = []
        for row in crop.top..<crop.top + crop.height {
            for column in crop.left..<crop.left + crop.width {
                switch samples {
                case .packed(let plane, let red, let green, let blue):
                    let start = row * plane.rowStride + column * plane.pixelStride
                    pixels += [plane.bytes[start + red], plane.bytes[start + green], plane.bytes[start + blue]]
                case .yuv(let y, let u, let v, let matrix):
                    let chroma = row / 2 * u.rowStride + column / 2 * u.pixelStride
                    let level = matrix.tables.luma.start[Int(y.bytes[row * y.rowStride + column * y.pixelStride])]
                    let (blue, red) = (Int(u.bytes[chroma]), Int(v.bytes[chroma]))
                    let tables = matrix.tables
                    let sums = [
                        level + tables.redV.start[red],
                        level + tables.greenU.start[blue] + tables.greenV.start[red], level + tables.blueU.start[blue],
                    ]
                    pixels += sums.map { UInt8(clamping: $0 >> 16) }
                }
            }
        }
        return RGBImage(height: crop.height, width: crop.width, pixels: pixels)
    }
}
