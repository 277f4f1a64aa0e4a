/// The orientation of a stored image, by the value of its EXIF tag (EXIF 2.3, 0x0112).
public enum Orientation: Int, CaseIterable, Sendable {
    case upright = 1
    case mirrored, upsideDown, upsideDownMirrored, transposed, quarterTurnLeft, transversed, quarterTurnRight

    /// Whether height and width are swapped when the image is turned upright.
    public var swapsSides: Bool { rawValue >= 5 }

    /// Whether x of the upright image is measured from the far side of the stored one.
    var isFromRight: Bool { [.mirrored, .upsideDown, .quarterTurnLeft, .transversed].contains(self) }

    /// Whether y of the upright image is measured from the far side of the stored one.
    var isFromBelow: Bool { [.upsideDown, .upsideDownMirrored, .transversed, .quarterTurnRight].contains(self) }

    /// Convert a point of the stored image to the upright one; both as fractions.
    func upright(x: Float, y: Float) -> (x: Float, y: Float) {
        switch self {
        case .upright: (x, y)
        case .mirrored: (1 - x, y)
        case .upsideDown: (1 - x, 1 - y)
        case .upsideDownMirrored: (x, 1 - y)
        case .transposed: (y, x)
        case .quarterTurnLeft: (1 - y, x)
        case .transversed: (1 - y, 1 - x)
        case .quarterTurnRight: (y, 1 - x)
        }
    }

    /// The orientation that undoes this one.
    public var inverse: Orientation {
        switch self {
        case .quarterTurnLeft: .quarterTurnRight
        case .quarterTurnRight: .quarterTurnLeft
        default: self
        }
    }
}

extension Box {
    /// Convert a box of the stored image to the upright one; both as fractions.
    public func turned(_ orientation: Orientation) -> Box {
        let a = orientation.upright(x: x1, y: y1), b = orientation.upright(x: x2, y: y2)
        return Box(x1: min(a.x, b.x), y1: min(a.y, b.y), x2: max(a.x, b.x), y2: max(a.y, b.y))
    }
}

extension RGBImage {
    /// Turn a stored image with this orientation upright.
    public func turned(_ orientation: Orientation) -> RGBImage {
        if orientation == .upright { return self }
        let (newHeight, newWidth) = orientation.swapsSides ? (width, height) : (height, width)
        // the source of target (x, y) is origin + x * along + y * down
        let origin: Int, along: Int, down: Int
        let (lastX, lastY) = (width - 1, (height - 1) * width)
        switch orientation {
        case .upright: (origin, along, down) = (0, 1, width)
        case .mirrored: (origin, along, down) = (lastX, -1, width)
        case .upsideDown: (origin, along, down) = (lastX + lastY, -1, -width)
        case .upsideDownMirrored: (origin, along, down) = (lastY, 1, -width)
        case .transposed: (origin, along, down) = (0, width, 1)
        case .quarterTurnLeft: (origin, along, down) = (lastY, -width, 1)
        case .transversed: (origin, along, down) = (lastX + lastY, -width, -1)
        case .quarterTurnRight: (origin, along, down) = (lastX, width, -1)
        }
        let turned = [UInt8](unsafeUninitializedCapacity: pixels.count) { output, count in
            pixels.withUnsafeBufferPointer { source in
                var target = 0
                for y in 0..<newHeight {
                    for x in 0..<newWidth {
                        let pixel = 3 * (origin + x * along + y * down)
                        for channel in 0..<3 { output[target + channel] = source[pixel + channel] }
                        target += 3
                    }
                }
            }
            count = pixels.count
        }
        return RGBImage(height: newHeight, width: newWidth, pixels: turned)
    }
}
