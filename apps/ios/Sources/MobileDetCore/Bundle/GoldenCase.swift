import Foundation

/// An image, and the detections of a model file in it at export.
public struct GoldenCase: Sendable {
    /// Height x width x 3 bytes of the model's input, RGB, row by row; or a PNG file of another size, which the device
    /// decodes and resizes like any other image.
    public let content: [UInt8]
    /// Whether `content` is a PNG file.
    public let isEncoded: Bool
    /// Expected detections, boxes as fractions of the model's input.
    public let expected: [Detection]
    /// Score below which candidates were cut off.
    public let cut: Float

    /// The model's input.
    ///
    /// - Parameter decode: decodes an image file without turning it.
    public func input(_ size: InputSpec, decode: ([UInt8]) throws -> RGBImage) rethrows -> RGBImage {
        isEncoded
            ? try decode(content).fitted(to: size)
            : RGBImage(height: size.height, width: size.width, pixels: content)
    }
}

/// Two detections match if their classes are equal, their IoU is at least `iou`, and their scores differ by at most `score`.
public struct Tolerance: Equatable, Sendable {
    public let iou: Float
    public let score: Float

    public init(iou: Float, score: Float) {
        (self.iou, self.score) = (iou, score)
    }
}

/// The golden cases of a model file.
public struct GoldenFile: Sendable {
    /// Accelerators of sessions that are the CPU itself; all others may compute in 16 bits.
    private static let processors: Set = ["cpu", "xnnpack", "wasm", "interpreter"]

    public let cases: [GoldenCase]
    /// The reference runtime that computed the expected detections.
    public let runtime: String
    /// Tolerance for runtimes that run the file on a CPU.
    public let cpu: Tolerance
    /// Tolerance for runtimes that use another accelerator.
    public let accelerated: Tolerance

    /// The tolerance for a session with this accelerator.
    public func tolerance(_ accelerator: String) -> Tolerance {
        Self.processors.contains(accelerator) ? cpu : accelerated
    }
}

/// Reads golden/golden.json strictly (types, ranges and lengths), like `mobiledet/golden.py`.
struct GoldenReader {
    private static let version = 2

    let folder: URL
    let spec: ModelSpec
    let bundle: String

    private var source: String { "\(bundle): golden/golden.json" }

    private struct Input {
        let content: [UInt8]
        let isEncoded: Bool
    }

    /// Read the golden cases of each model file.
    ///
    /// - Throws: `MobileDetError` if they were written by an older or newer mobiledet, or are malformed.
    func read(_ paths: Set<String>) throws -> [String: GoldenFile] {
        let content: JSON
        do {
            content = try JSONParser.parse(Data(contentsOf: folder.appendingPathComponent("golden.json")))
        } catch let error as MobileDetError {
            throw MobileDetError("\(source) cannot be used: \(error.message); export the bundle again")
        }
        let version = content["version"] ?? .null
        guard version != .null, version != .integer(1) else {
            throw MobileDetError("\(bundle): golden cases of an older mobiledet; export it again")
        }
        guard version == .integer(Self.version) else {
            throw MobileDetError("\(bundle): golden cases are not of version \(Self.version); use the matching app")
        }
        let fields = try exactly(content, ["version", "cases", "files"])
        let inputs = try fields.array("cases").map { try readInput(exactly($0, ["input"]).string("input")) }
        try fields.require(!inputs.isEmpty, "there is no case")
        var files: [String: GoldenFile] = [:]
        for member in try fields.object("files").value.members ?? [] {
            try fields.require(paths.contains(member.name), "\(member.name) is not a model file of the bundle")
            files[member.name] = try file(member.value, inputs)
        }
        if let path = paths.first(where: { files[$0] == nil }) { throw fields.problem("\(path) has no outputs") }
        return files
    }

    private func exactly(_ value: JSON, _ names: Set<String>) throws -> Fields {
        let fields = Fields(value, source: source)
        try fields.refuseOthers(than: names)
        return fields
    }

    private func readInput(_ name: String) throws -> Input {
        let fields = Fields(.null, source: source), parts = name.split(separator: ".", omittingEmptySubsequences: false)
        let isPlain = parts.first?.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
        guard parts.count == 2, !parts[0].isEmpty, isPlain == true, ["rgb", "png"].contains(parts[1]) else {
            throw fields.problem("input '\(name.prefix(80))' is not the name of a .rgb or .png file in golden/")
        }
        guard let content = try? Data(contentsOf: folder.appendingPathComponent(name)) else {
            throw fields.problem("input \(name) is missing")
        }
        let isEncoded = parts[1] == "png", size = spec.input.height * spec.input.width * 3
        try fields.require(isEncoded || content.count == size, "input \(name) is not of the model's size")
        return Input(content: Array(content), isEncoded: isEncoded)
    }

    private func file(_ value: JSON, _ inputs: [Input]) throws -> GoldenFile {
        let fields = try exactly(value, ["runtime", "tolerance", "outputs"])
        let tolerances = try exactly(fields.object("tolerance").value, ["cpu", "accelerated"])
        let outputs = try fields.array("outputs")
        try fields.require(outputs.count == inputs.count, "\(outputs.count) outputs for \(inputs.count) cases")
        return GoldenFile(
            cases: try zip(outputs, inputs).map(goldenCase), runtime: try fields.string("runtime"),
            cpu: try tolerance(tolerances.object("cpu").value),
            accelerated: try tolerance(tolerances.object("accelerated").value))
    }

    private func tolerance(_ value: JSON) throws -> Tolerance {
        let fields = try exactly(value, ["iou", "score"])
        let (iou, score) = (try fields.number("iou"), try fields.number("score"))
        try fields.require(iou > 0.5 && iou <= 1, "a tolerance's iou is \(iou), not above 0.5 and at most 1")
        try fields.require(0...0.5 ~= score, "a tolerance's score is \(score), not in 0..0.5")
        return Tolerance(iou: Float(iou), score: Float(score))
    }

    private func goldenCase(_ value: JSON, _ input: Input) throws -> GoldenCase {
        let fields = try exactly(value, ["boxes", "classes", "scores", "cut"])
        let boxes = try fields.array("boxes").map { row in
            let sides = (row.array ?? []).compactMap(\.number).map { Float($0) }
            guard sides.count == 4, row.array?.count == 4 else {
                throw fields.problem("a box does not have four sides")
            }
            guard sides.allSatisfy(\.isFinite) else { throw fields.problem("a box is too large") }
            return Box(x1: sides[1], y1: sides[0], x2: sides[3], y2: sides[2])
        }
        let classes = try fields.array("classes").map { label in
            guard let label = label.integer, spec.labels.indices.contains(label) else {
                throw fields.problem("a class is not in 0..\(spec.labels.count - 1)")
            }
            return label
        }
        let scores = try fields.numbers("scores"), cut = try fields.number("cut")
        try fields.require(
            boxes.count == scores.count && classes.count == scores.count,
            "\(boxes.count) boxes, \(classes.count) classes and \(scores.count) scores do not agree")
        try fields.require(
            scores.count <= spec.nms.maxDetections, "\(scores.count) detections in \(spec.nms.maxDetections) rows")
        try fields.require(scores.allSatisfy { 0...1 ~= $0 }, "a score is not in 0..1")
        try fields.require(0...(scores.min() ?? 1) ~= cut, "cut \(cut) is not in 0..lowest score")
        let expected = zip(boxes, zip(scores, classes)).map {
            Detection(box: $0, score: Float($1.0), classIndex: $1.1)
        }
        return GoldenCase(
            content: input.content, isEncoded: input.isEncoded, expected: expected,
            cut: max(Float(cut), spec.nms.score))
    }
}
