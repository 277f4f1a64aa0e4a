/// The image that a model takes: height x width x 3, RGB, raw values 0...255; normalisation is part of the model file.
///
/// `resize` is how images of other sizes are resized.
public struct InputSpec: Equatable, Sendable {
    public enum Resize: String, Sendable, CaseIterable {
        /// Both sides are scaled to fit, each by its own factor.
        case stretch
        /// The image keeps its aspect ratio, and the rest is filled; see `Placement`.
        case letterbox
    }

    /// Colour of the padding of a letterbox.
    public enum Padding: String, Sendable, CaseIterable {
        case grey, black

        var value: UInt8 { self == .grey ? 114 : 0 }
    }

    /// Position of the image in a letterbox.
    public enum Corner: String, Sendable, CaseIterable {
        case centre
        case topLeft = "top-left"
    }

    /// Whether a photo is turned by its EXIF orientation; `auto` and `apply` turn it.
    public enum EXIF: String, Sendable, CaseIterable {
        case auto, apply, ignore
    }

    /// Which pixels of an image are averaged when it is resized; see `RGBImage.fitted`.
    public enum Sampling: String, Sendable, CaseIterable {
        /// All of them.
        case mean
        /// The four nearest ones; also used for older files, which lack the field.
        case bilinear
    }

    public let height: Int
    public let width: Int
    public let resize: Resize
    public let sampling: Sampling
    public let padding: Padding
    public let placement: Corner
    public let exif: EXIF

    public init(
        height: Int, width: Int, resize: Resize = .stretch, sampling: Sampling, padding: Padding = .grey,
        placement: Corner = .centre, exif: EXIF = .auto
    ) {
        (self.height, self.width, self.resize, self.sampling) = (height, width, resize, sampling)
        (self.padding, self.placement, self.exif) = (padding, placement, exif)
    }
}

/// Non-maximum suppression inside the model file.
public struct NMSSpec: Equatable, Sendable {
    /// Largest IoU with a better box of the same class.
    public let iou: Float
    /// Lowest score of a detection.
    public let score: Float
    /// Number of candidates (box, class) for the suppression.
    public let topK: Int
    /// Number of output rows.
    public let maxDetections: Int
}

/// Description of a model's input and outputs, from bundle.json.
public struct ModelSpec: Equatable, Sendable {
    static let schemaVersion = 1

    public let name: String
    public let backbone: String
    public let detector: String
    public let input: InputSpec
    /// Class names; a class index is a position in this list.
    public let labels: [String]
    /// The data set's own id of each label (COCO: 1...90 with gaps).
    public let categoryIDs: [Int]
    public let nms: NMSSpec

    /// Read the description from bundle.json.
    ///
    /// - Throws: `MobileDetError` if a field is missing, has the wrong type or an invalid value, or the schema differs.
    init(_ listing: JSON, bundle: String) throws {
        let source = "\(bundle): bundle.json"
        guard let version = listing["schema_version"] else {
            throw MobileDetError("\(source): not a mobiledet model description (no schema_version)")
        }
        guard version == .integer(Self.schemaVersion) else {
            throw MobileDetError(
                "\(source): schema version \(version.integer.map(String.init) ?? "?") is not \(Self.schemaVersion); use the matching app"
            )
        }
        let fields = Fields(listing, source: source)
        name = try fields.string("name")
        backbone = try fields.string("backbone")
        detector = try fields.string("detector")
        input = try InputSpec(fields.object("input"))
        labels = try fields.array("labels").map { label in
            guard let text = label.string, !text.isEmpty else { throw fields.problem("every label must be a text") }
            return text
        }
        categoryIDs = try fields.array("category_ids").map { id in
            guard let number = id.integer else { throw fields.problem("category_ids has a value that is no integer") }
            return number
        }
        nms = try NMSSpec(fields.object("nms"))
        _ = try fields.object("detector_options")
        _ = try fields.object("training")
        try fields.require(!labels.isEmpty, "labels are empty")
        try fields.require(
            labels.count == categoryIDs.count, "\(labels.count) labels but \(categoryIDs.count) category ids")
        try fields.require(Set(categoryIDs).count == categoryIDs.count, "category ids repeat")
    }
}

extension InputSpec {
    fileprivate init(_ fields: Fields) throws {
        height = try fields.integer("height")
        width = try fields.integer("width")
        for side in [height, width] {
            try fields.require(side >= 32, "input side \(side) is below 32")
        }
        let mean = try fields.numbers("mean"), std = try fields.numbers("std")
        try fields.require(mean.count == 3 && std.count == 3, "mean and std need three values, one for each channel")
        try fields.require((mean + std).allSatisfy(\.isFinite), "mean and std must be finite")
        try fields.require(std.allSatisfy { $0 > 0 }, "std \(std) is not positive")
        resize = try fields.choice("resize")
        sampling = try fields.choice("sampling", older: .bilinear)
        padding = try fields.choice("padding", older: .grey)
        placement = try fields.choice("placement", older: .centre)
        exif = try fields.choice("exif", older: .auto)
        try fields.require(try fields.string("channels") == "RGB", "channels are not RGB")
        try fields.refuseOthers(than: [
            "height", "width", "mean", "std", "resize", "sampling", "channels", "exif", "padding", "placement",
        ])
    }
}

extension NMSSpec {
    fileprivate init(_ fields: Fields) throws {
        let iou = try fields.number("iou"), score = try fields.number("score")
        topK = try fields.integer("top_k")
        maxDetections = try fields.integer("max_detections")
        try fields.require(0 < iou && iou < 1, "nms iou \(iou) is not between 0 and 1")
        try fields.require(0 <= score && score < 1, "nms score \(score) is not in 0..1")
        try fields.require(0 < maxDetections && maxDetections <= topK, "nms needs 0 < max_detections <= top_k")
        try fields.refuseOthers(than: ["iou", "score", "top_k", "max_detections"])
        (self.iou, self.score) = (Float(iou), Float(score))
    }
}
