/// Where a picture lies in a model's input, and its boxes with it; the rule of `mobiledet/placement.py`.
public struct Placement: Equatable, Sendable {
    /// The part of the input that shows the picture, in pixels of the input: all of it, or in a letterbox the largest of
    /// the picture's shape, sides rounded to whole pixels, halves up.
    public let top: Int
    public let left: Int
    public let height: Int
    public let width: Int
    private let pictureHeight: Int
    private let pictureWidth: Int
    private let input: InputSpec

    /// That of a picture of height x width pixels.
    public init(height pictureHeight: Int, width pictureWidth: Int, in input: InputSpec) {
        (self.pictureHeight, self.pictureWidth, self.input) = (pictureHeight, pictureWidth, input)
        guard input.resize == .letterbox else {
            (top, left, height, width) = (0, 0, input.height, input.width)
            return
        }
        let isWide = pictureWidth * input.height >= pictureHeight * input.width
        height = isWide ? Self.part(pictureHeight * input.width, pictureWidth) : input.height
        width = isWide ? input.width : Self.part(pictureWidth * input.height, pictureHeight)
        let isCentred = input.placement == .centre
        top = isCentred ? (input.height - height) / 2 : 0
        left = isCentred ? (input.width - width) / 2 : 0
    }

    /// A quotient rounded to a whole number, halves up; at least 1.
    private static func part(_ dividend: Int, _ divisor: Int) -> Int {
        max(1, (2 * dividend + divisor) / (2 * divisor))
    }

    /// A box as fractions of the input to one in pixels of the picture, which may reach out of it.
    public func toPicture(_ box: Box) -> Box {
        let (x, y) = (Axis(pictureWidth, input.width, left, width), Axis(pictureHeight, input.height, top, height))
        return Box(x1: x.toPicture(box.x1), y1: y.toPicture(box.y1), x2: x.toPicture(box.x2), y2: y.toPicture(box.y2))
    }

    /// A box that `toPicture` gave, cut to the picture of a letterbox; nil where it lies in the padding alone.
    public func visible(_ box: Box) -> Box? {
        guard input.resize == .letterbox else { return box }
        let cut = box.cut(right: Float(pictureWidth), bottom: Float(pictureHeight))
        return cut.x2 > cut.x1 && cut.y2 > cut.y1 ? cut : nil
    }

    /// Along one side; 64 bits, as everywhere.
    private struct Axis {
        private let scale: Double
        private let offset: Double

        init(_ picture: Int, _ input: Int, _ corner: Int, _ part: Int) {
            scale = Double(picture) * Double(input) / Double(part)
            offset = Double(picture) * Double(corner) / Double(part)
        }

        func toPicture(_ value: Float) -> Float { Float(Double(value) * scale - offset) }
    }
}
