/// The image a model takes: height x width x 3, RGB, raw values 0...255; normalisation is inside the file.
///
/// An image of another size is stretched to it: both sides are scaled to fit, each by its own factor.
public struct InputSpec: Equatable, Sendable {
    /// Which pixels of an image count when it is stretched, see `RGBImage.fitted`.
    public enum Sampling: String, Sendable {
        /// All.
        case mean
        /// The four around each place: files from before there was a choice.
        case bilinear
    }

    public let height: Int
    public let width: Int
    public let sampling: Sampling

    public init(height: Int, width: Int, sampling: Sampling) {
        (self.height, self.width, self.sampling) = (height, width, sampling)
    }
}

/// How raw scores became detections inside the file.
public struct NMSSpec: Equatable, Sendable {
    /// A box that overlaps a better one of its class by more than this was dropped.
    public let iou: Float
    /// Detections below it were dropped.
    public let score: Float
    /// Candidates (box, class) that entered suppression.
    public let topK: Int
    /// Rows of the output.
    public let maxDetections: Int
}

/// What a model takes and gives, as bundle.json tells it.
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

    /// Read the description out of bundle.json.
    ///
    /// - Throws: `MobileDetError` when a field is missing, of the wrong kind or impossible, or the schema is another one.
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
            guard let number = id.integer else { throw fields.problem("every category id must be an integer") }
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
        let rule = try fields.string("resize")
        try fields.require(rule == "stretch", "resize rule '\(rule)' is not stretch")
        let name = fields.value["sampling"] == nil ? "bilinear" : try fields.string("sampling")
        guard let known = Sampling(rawValue: name) else { throw fields.problem("sampling '\(name)' is not known") }
        sampling = known
        try fields.require(try fields.string("channels") == "RGB", "channels are not RGB")
        // a frame of the camera is upright: the rule for photographs' EXIF tags is for files alone
        try fields.refuseOthers(than: ["height", "width", "mean", "std", "resize", "sampling", "channels", "exif"])
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
