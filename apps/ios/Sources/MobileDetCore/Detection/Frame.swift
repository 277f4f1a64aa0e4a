/// A part of a frame, in pixels of the frame as stored.
public struct Crop: Equatable, Sendable {
    public let left: Int
    public let top: Int
    public let width: Int
    public let height: Int

    public init(left: Int, top: Int, width: Int, height: Int) {
        (self.left, self.top, self.width, self.height) = (left, top, width, height)
    }
}

/// An image in memory, as a camera or a decoder left it; `Preprocessor` makes a model's input from it.
///
/// The memory of its planes must stay until then.
public struct Frame {
    /// One plane: rows `rowStride` bytes apart, samples `pixelStride` bytes apart.
    public struct Plane {
        let bytes: UnsafeBufferPointer<UInt8>
        let rowStride: Int
        let pixelStride: Int

        public init(_ bytes: UnsafeBufferPointer<UInt8>, rowStride: Int, pixelStride: Int) {
            (self.bytes, self.rowStride, self.pixelStride) = (bytes, rowStride, pixelStride)
        }

        func holds(height: Int, width: Int, size: Int = 1) -> Bool {
            height > 0 && width > 0 && rowStride > 0 && pixelStride > 0
                && (height - 1) * rowStride + (width - 1) * pixelStride + size <= bytes.count
        }
    }

    enum Samples {
        case yuv(y: Plane, u: Plane, v: Plane, YUVMatrix)
        /// The positions of the colours in the bytes of a pixel.
        case packed(Plane, red: Int, green: Int, blue: Int)
    }

    /// The part of the frame that is the picture.
    public let crop: Crop
    let samples: Samples

    /// A frame whose pixels are bytes in one plane, such as BGRA.
    ///
    /// - Parameter crop: the picture; all of the frame if it is nil.
    public init(height: Int, width: Int, packed plane: Plane, red: Int, green: Int, blue: Int, crop: Crop? = nil) {
        precondition(plane.holds(height: height, width: width, size: max(red, green, blue) + 1), "too few bytes")
        self.init(height, width, crop, .packed(plane, red: red, green: green, blue: blue))
    }

    /// A frame with one sample of each chroma for 2 x 2 pixels.
    ///
    /// - Parameter crop: the picture; all of the frame if it is nil.
    public init(height: Int, width: Int, y: Plane, u: Plane, v: Plane, matrix: YUVMatrix, crop: Crop? = nil) {
        let halved = ((height + 1) / 2, (width + 1) / 2)
        precondition(
            y.holds(height: height, width: width) && u.holds(height: halved.0, width: halved.1)
                && v.holds(height: halved.0, width: halved.1), "too few bytes")
        precondition((u.rowStride, u.pixelStride) == (v.rowStride, v.pixelStride), "chroma strides differ")
        self.init(height, width, crop, .yuv(y: y, u: u, v: v, matrix))
    }

    private init(_ height: Int, _ width: Int, _ crop: Crop?, _ samples: Samples) {
        let crop = crop ?? Crop(left: 0, top: 0, width: width, height: height)
        precondition(
            crop.left >= 0 && crop.top >= 0 && crop.width > 0 && crop.height > 0
                && crop.left + crop.width <= width && crop.top + crop.height <= height,
            "a crop of \(crop.height) x \(crop.width) at \(crop.top), \(crop.left) is not in an image of \(height) x \(width)"
        )
        (self.crop, self.samples) = (crop, samples)
    }

    var layout: Layout {
        switch samples {
        case .yuv(let y, let u, _, _): Layout(crop, y, chroma: u)
        case .packed(let plane, _, _, _): Layout(crop, plane, chroma: nil)
        }
    }

    /// Where the samples of a frame lie, and those of its halved planes if it has some.
    struct Layout: Equatable {
        let crop: Crop
        let rowStride: Int
        let pixelStride: Int
        let chromaRowStride: Int
        let chromaPixelStride: Int

        init(_ crop: Crop, _ plane: Plane, chroma: Plane?) {
            (self.crop, rowStride, pixelStride) = (crop, plane.rowStride, plane.pixelStride)
            (chromaRowStride, chromaPixelStride) = (chroma?.rowStride ?? 0, chroma?.pixelStride ?? 0)
        }
    }
}

/// How luma and chroma become RGB, in fixed point with 16 bits.
///
/// `bt601Full` is that of JFIF, with its rounded decimals; the others follow ITU-R BT.601 and BT.709, whose video range has
/// luma from 16 to 235 and chroma from 16 to 240.
public enum YUVMatrix: String, CaseIterable, Sendable {
    case bt601Full = "bt601_full"
    case bt601Video = "bt601_video"
    case bt709Full = "bt709_full"
    case bt709Video = "bt709_video"

    /// What each value of a sample adds to a colour.
    struct Tables: Sendable {
        static let bits: Int32 = 16

        let luma: Numbers
        let redV: Numbers
        let greenU: Numbers
        let greenV: Numbers
        let blueU: Numbers

        init(black: Int, luma: Int, redV: Int, greenU: Int, greenV: Int, blueU: Int) {
            func chroma(_ factor: Int) -> Numbers { Numbers((0..<256).map { ($0 - 128) * factor }) }
            self.luma = Numbers((0..<256).map { ($0 - black) * luma + 1 << (Int(Self.bits) - 1) })
            (self.redV, self.greenU) = (chroma(redV), chroma(greenU))
            (self.greenV, self.blueU) = (chroma(greenV), chroma(blueU))
        }
    }

    var tables: Tables {
        switch self {
        case .bt601Full: Self.bt601FullTables
        case .bt601Video: Self.bt601VideoTables
        case .bt709Full: Self.bt709FullTables
        case .bt709Video: Self.bt709VideoTables
        }
    }

    private static let bt601FullTables = Tables(
        black: 0, luma: 65536, redV: 91881, greenU: -22554, greenV: -46802, blueU: 116130)
    private static let bt601VideoTables = Tables(
        black: 16, luma: 76309, redV: 104597, greenU: -25675, greenV: -53279, blueU: 132201)
    private static let bt709FullTables = Tables(
        black: 0, luma: 65536, redV: 103206, greenU: -12276, greenV: -30679, blueU: 121609)
    private static let bt709VideoTables = Tables(
        black: 16, luma: 76309, redV: 117489, greenU: -13975, greenV: -34925, blueU: 138438)
}
