import Foundation

/// An input and the outputs that every runtime must reproduce within the tolerance of its precision.
public struct GoldenCase: Sendable {
    /// The model's input.
    public let image: RGBImage
    /// Boxes as fractions of the image.
    public let expected: [Detection]
}

/// When two detections are the same: of one class, with at least this IoU and at most this difference of scores.
public struct Tolerance: Equatable, Sendable {
    public let iou: Float
    public let score: Float

    public init(iou: Float, score: Float) {
        (self.iou, self.score) = (iou, score)
    }
}

/// The golden cases of a bundle, and the tolerance of each precision.
public struct Golden: Sendable {
    public let cases: [GoldenCase]
    public let tolerances: [String: Tolerance]
}

extension ModelBundle {
    /// The golden cases, in order.
    ///
    /// - Throws: `MobileDetError` when they cannot be read.
    public func golden() throws -> Golden {
        let source = "\(url.lastPathComponent): golden/golden.json"
        let content = try Data(contentsOf: root.appendingPathComponent("golden/golden.json"))
        let fields = Fields(try JSONParser.parse(content, allowsNonFinite: true), source: source)
        let tolerances = try (fields.object("tolerances").value.members ?? []).map { member in
            let values = Fields(member.value, source: source)
            return (
                member.name, Tolerance(iou: Float(try values.number("iou")), score: Float(try values.number("score")))
            )
        }
        return Golden(
            cases: try fields.array("cases").map { try goldenCase(Fields($0, source: source)) },
            tolerances: Dictionary(tolerances) { $1 })
    }

    private func goldenCase(_ fields: Fields) throws -> GoldenCase {
        let image = try inside(root, "golden/" + fields.string("image"), bundle: fields.source)
        let pixels = try Data(contentsOf: image)
        guard pixels.count == spec.input.height * spec.input.width * 3 else {
            throw fields.problem("an image is not of the model's size; export the bundle again")
        }
        let boxes = try fields.array("boxes").map { row in
            let sides = (row.array ?? []).compactMap(\.number).map { Float($0) }
            guard sides.count == 4 else { throw fields.problem("a box has not four sides; export the bundle again") }
            return Box(x1: sides[1], y1: sides[0], x2: sides[3], y2: sides[2])
        }
        let classes = try fields.numbers("classes"), scores = try fields.numbers("scores")
        guard boxes.count == scores.count, classes.count == scores.count,
            classes.allSatisfy({ 0..<Double(spec.labels.count) ~= $0 })
        else { throw fields.problem("boxes, classes and scores do not agree; export the bundle again") }
        let expected = zip(boxes, zip(scores, classes)).map {
            Detection(box: $0, score: Float($1.0), classIndex: Int($1.1.rounded()))
        }
        let size = spec.input
        return GoldenCase(
            image: RGBImage(height: size.height, width: size.width, pixels: Array(pixels)), expected: expected)
    }
}
