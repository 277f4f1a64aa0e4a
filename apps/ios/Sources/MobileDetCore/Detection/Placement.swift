/// The position of an image in a model's input, by the rules of `mobiledet/placement.py`.
public struct Placement: Equatable, Sendable {
    /// The part of the input that shows the image, in pixels of the input: all of it, or in a letterbox the largest part
    /// with the image's aspect ratio, sides rounded to whole pixels, halves up.
    public let top: Int
    public let left: Int
    public let height: Int
    public let width: Int
    private let imageHeight: Int
    private let imageWidth: Int
    private let input: InputSpec

    /// The placement of an image of height x width pixels.
    public init(height imageHeight: Int, width imageWidth: Int, in input: InputSpec) {
        (self.imageHeight, self.imageWidth, self.input) = (imageHeight, imageWidth, input)
        guard input.resize == .letterbox else {
            (top, left, height, width) = (0, 0, input.height, input.width)
            return
        }
        let isWide = imageWidth * input.height >= imageHeight * input.width
        height = isWide ? Self.part(imageHeight * input.width, imageWidth) : input.height
        width = isWide ? input.width : Self.part(imageWidth * input.height, imageHeight)
        let isCentred = input.placement == .centre
        top = isCentred ? (input.height - height) / 2 : 0
        left = isCentred ? (input.width - width) / 2 : 0
    }

    /// A quotient rounded to an integer, halves up; at least 1.
    private static func part(_ dividend: Int, _ divisor: Int) -> Int {
        max(1, (2 * dividend + divisor) / (2 * divisor))
    }

    /// Convert a box from fractions of the input to pixels of the image; it may extend beyond the image.
    public func toImage(_ box: Box) -> Box {
        let (x, y) = (Axis(imageWidth, input.width, left, width), Axis(imageHeight, input.height, top, height))
        return Box(x1: x.toImage(box.x1), y1: y.toImage(box.y1), x2: x.toImage(box.x2), y2: y.toImage(box.y2))
    }

    /// Clip the result of `toImage` to the image of a letterbox; nil if it is entirely in the padding.
    public func visible(_ box: Box) -> Box? {
        guard input.resize == .letterbox else { return box }
        let clipped = box.clipped(right: Float(imageWidth), bottom: Float(imageHeight))
        return clipped.x2 > clipped.x1 && clipped.y2 > clipped.y1 ? clipped : nil
    }

    /// The conversion along one axis, in 64 bits as in every language.
    private struct Axis {
        private let scale: Double
        private let offset: Double

        init(_ image: Int, _ input: Int, _ corner: Int, _ part: Int) {
            scale = Double(image) * Double(input) / Double(part)
            offset = Double(image) * Double(corner) / Double(part)
        }

        func toImage(_ value: Float) -> Float { Float(Double(value) * scale - offset) }
    }
}
