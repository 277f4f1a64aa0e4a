import Foundation

/// A picture and what a model file gave for it at export.
public struct GoldenCase: Sendable {
    /// Height x width x 3 bytes of the model's input, RGB, row by row; or a PNG file of another size, which the device
    /// decodes and resizes as any other.
    public let content: [UInt8]
    /// Whether it is the file.
    public let isEncoded: Bool
    /// Boxes as fractions of the picture.
    public let expected: [Detection]
    /// Score below which there were no candidates.
    public let cut: Float

    /// The model's input.
    ///
    /// - Parameter decode: reads a picture file, not turned.
    public func input(_ size: InputSpec, decode: ([UInt8]) throws -> RGBImage) rethrows -> RGBImage {
        isEncoded
            ? try decode(content).fitted(to: size)
            : RGBImage(height: size.height, width: size.width, pixels: content)
    }
}

/// When two detections are the same: of one class, with at least this IoU and at most this difference of scores.
public struct Tolerance: Equatable, Sendable {
    public let iou: Float
    public let score: Float

    public init(iou: Float, score: Float) {
        (self.iou, self.score) = (iou, score)
    }
}

/// What a model file gives for the golden cases.
public struct GoldenFile: Sendable {
    /// What sessions call the processor itself; everything else may compute in numbers of 16 bits.
    private static let processors: Set = ["cpu", "xnnpack", "wasm", "interpreter"]

    public let cases: [GoldenCase]
    /// What computed it.
    public let runtime: String
    /// How far another runtime may be that runs the file on a processor.
    public let cpu: Tolerance
    /// And one that runs it elsewhere.
    public let accelerated: Tolerance

    /// That of a session whose actual accelerator is called so.
    public func tolerance(_ accelerator: String) -> Tolerance {
        Self.processors.contains(accelerator) ? cpu : accelerated
    }
}

/// Reads golden/golden.json strictly: types, ranges and lengths. As `mobiledet/golden.py`.
struct GoldenReader {
    private static let version = 2

    let folder: URL
    let spec: ModelSpec
    let bundle: String

    private var source: String { "\(bundle): golden/golden.json" }

    private struct Picture {
        let content: [UInt8]
        let isEncoded: Bool
    }

    /// What each of the model files gives.
    ///
    /// - Throws: `MobileDetError` when they are of an older or newer mobiledet, or malformed.
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
        let pictures = try fields.array("cases").map { try picture(exactly($0, ["input"]).string("input")) }
        try fields.require(!pictures.isEmpty, "there is no case")
        var files: [String: GoldenFile] = [:]
        for member in try fields.object("files").value.members ?? [] {
            try fields.require(paths.contains(member.name), "\(member.name) is no model file of the bundle")
            files[member.name] = try file(member.value, pictures)
        }
        if let path = paths.first(where: { files[$0] == nil }) { throw fields.problem("\(path) has no outputs") }
        return files
    }

    private func exactly(_ value: JSON, _ names: Set<String>) throws -> Fields {
        let fields = Fields(value, source: source)
        try fields.refuseOthers(than: names)
        return fields
    }

    private func picture(_ name: String) throws -> Picture {
        let fields = Fields(.null, source: source), parts = name.split(separator: ".", omittingEmptySubsequences: false)
        let isPlain = parts.first?.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
        guard parts.count == 2, !parts[0].isEmpty, isPlain == true, ["rgb", "png"].contains(parts[1]) else {
            throw fields.problem("input '\(name.prefix(80))' is no name of a .rgb or .png file in golden/")
        }
        guard let content = try? Data(contentsOf: folder.appendingPathComponent(name)) else {
            throw fields.problem("input \(name) is missing")
        }
        let isEncoded = parts[1] == "png", size = spec.input.height * spec.input.width * 3
        try fields.require(isEncoded || content.count == size, "input \(name) is not of the model's size")
        return Picture(content: Array(content), isEncoded: isEncoded)
    }

    private func file(_ value: JSON, _ pictures: [Picture]) throws -> GoldenFile {
        let fields = try exactly(value, ["runtime", "tolerance", "outputs"])
        let tolerances = try exactly(fields.object("tolerance").value, ["cpu", "accelerated"])
        let outputs = try fields.array("outputs")
        try fields.require(outputs.count == pictures.count, "\(outputs.count) outputs for \(pictures.count) cases")
        return GoldenFile(
            cases: try zip(outputs, pictures).map(goldenCase), runtime: try fields.string("runtime"),
            cpu: try tolerance(tolerances.object("cpu").value),
            accelerated: try tolerance(tolerances.object("accelerated").value))
    }

    private func tolerance(_ value: JSON) throws -> Tolerance {
        let fields = try exactly(value, ["iou", "score"])
        let (iou, score) = (try fields.number("iou"), try fields.number("score"))
        try fields.require(iou > 0.5 && iou <= 1, "a tolerance's iou is \(iou), not above 0.5 and to 1")
        try fields.require(0...0.5 ~= score, "a tolerance's score is \(score), not in 0..0.5")
        return Tolerance(iou: Float(iou), score: Float(score))
    }

    private func goldenCase(_ value: JSON, _ picture: Picture) throws -> GoldenCase {
        let fields = try exactly(value, ["boxes", "classes", "scores", "cut"])
        let boxes = try fields.array("boxes").map { row in
            let sides = (row.array ?? []).compactMap(\.number).map { Float($0) }
            guard sides.count == 4, row.array?.count == 4 else { throw fields.problem("a box has not four sides") }
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
            content: picture.content, isEncoded: picture.isEncoded, expected: expected,
            cut: max(Float(cut), spec.nms.score))
    }
}
