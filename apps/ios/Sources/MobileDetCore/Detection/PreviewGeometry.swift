extension Orientation {
    /// The orientation of an image that a clockwise turn by this angle makes upright, as cameras report it.
    ///
    /// - Parameter degrees: rounded to the nearest quarter turn.
    public init(clockwise degrees: Double) {
        let quarters = Int((degrees / 90).rounded()) % 4
        self = [.upright, .quarterTurnLeft, .upsideDown, .quarterTurnRight][(quarters + 4) % 4]
    }
}

/// Converts boxes of an upright image to the view that shows it, such as the preview of a camera.
///
/// The image is turned, then mirrored, then scaled to the view with its aspect ratio and centred.
public struct PreviewGeometry: Sendable {
    private let image: (height: Float, width: Float)
    private let turn: Orientation
    private let isMirrored: Bool
    /// The part of the view that shows the image; larger than the view where the image fills it.
    private let shown: Box

    /// - Parameters:
    ///   - image: size of the upright image, in pixels.
    ///   - view: size of the view, in its units.
    ///   - turn: orientation of the upright image relative to what the view shows. It is not `upright` on a screen whose
    ///     orientation is locked.
    ///   - isMirrored: whether the view swaps left and right, as previews of front cameras do.
    ///   - fills: whether the image covers the view and is cropped, instead of being shown whole.
    public init(
        image: (height: Float, width: Float), view: (height: Float, width: Float), turn: Orientation = .upright,
        isMirrored: Bool = false, fills: Bool = false
    ) {
        (self.image, self.turn, self.isMirrored) = (image, turn, isMirrored)
        let (height, width) = turn.swapsSides ? (image.width, image.height) : (image.height, image.width)
        let scales = (view.height / height, view.width / width)
        let scale = fills ? max(scales.0, scales.1) : min(scales.0, scales.1)
        let (left, top) = ((view.width - width * scale) / 2, (view.height - height * scale) / 2)
        shown = Box(x1: left, y1: top, x2: left + width * scale, y2: top + height * scale)
    }

    /// Convert a box from pixels of the upright image to the view.
    public func toView(_ box: Box) -> Box {
        var turned = box.scaled(width: 1 / image.width, height: 1 / image.height).turned(turn)
        if isMirrored { (turned.x1, turned.x2) = (1 - turned.x2, 1 - turned.x1) }
        let scaled = turned.scaled(width: shown.x2 - shown.x1, height: shown.y2 - shown.y1)
        return Box(
            x1: shown.x1 + scaled.x1, y1: shown.y1 + scaled.y1, x2: shown.x1 + scaled.x2, y2: shown.y1 + scaled.y2)
    }
}
