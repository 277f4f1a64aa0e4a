/// A bounding box: x to the right, y down; (0, 0) is the top left corner of the top left pixel.
public struct Box: Equatable, Sendable {
    public var x1: Float
    public var y1: Float
    public var x2: Float
    public var y2: Float

    public init(x1: Float, y1: Float, x2: Float, y2: Float) {
        (self.x1, self.y1, self.x2, self.y2) = (x1, y1, x2, y2)
    }

    /// The box multiplied by these factors: converts fractions to pixels of an image of this size.
    public func scaled(width: Float, height: Float) -> Box {
        Box(x1: x1 * width, y1: y1 * height, x2: x2 * width, y2: y2 * height)
    }

    /// The box clipped to (0, 0, right, bottom); a box outside of it gets no area.
    func clipped(right: Float, bottom: Float) -> Box {
        Box(
            x1: min(max(x1, 0), right), y1: min(max(y1, 0), bottom), x2: min(max(x2, 0), right),
            y2: min(max(y2, 0), bottom))
    }

    public var area: Float { (x2 - x1) * (y2 - y1) }

    /// Intersection over union; 0 if both are empty.
    public func iou(_ other: Box) -> Float {
        let width = max(0, min(x2, other.x2) - max(x1, other.x1))
        let height = max(0, min(y2, other.y2) - max(y1, other.y1))
        let union = area + other.area - width * height
        return union > 0 ? width * height / union : 0
    }
}

/// A detected object.
public struct Detection: Equatable, Sendable {
    /// In pixels of the image, or as fractions of it.
    public var box: Box
    /// 0...1.
    public var score: Float
    /// Index in the labels of the model.
    public var classIndex: Int

    public init(box: Box, score: Float, classIndex: Int) {
        (self.box, self.score, self.classIndex) = (box, score, classIndex)
    }
}

/// An RGB image with 8 bits per channel: rows from the top, each pixel red, green, blue.
public struct RGBImage: Equatable, Sendable {
    public let height: Int
    public let width: Int
    public let pixels: [UInt8]

    public init(height: Int, width: Int, pixels: [UInt8]) {
        precondition(height > 0 && width > 0 && pixels.count == height * width * 3, "pixels do not fill the image")
        (self.height, self.width, self.pixels) = (height, width, pixels)
    }
}
