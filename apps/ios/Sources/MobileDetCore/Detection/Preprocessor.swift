/// Makes the input of a model from images and camera frames, in one pass over their samples.
///
/// The result equals, to the bit, that of these steps: convert the frame to RGB (`YUVMatrix`), cut out its `Crop`, turn it
/// upright, resize it in the integer arithmetic of the host. Resizing first reduces each side by the largest power of two
/// that leaves at least the model's size: a pixel is the mean of its block, halves rounded up; if the last block is
/// incomplete, the last row or column is repeated. Sampling `bilinear` skips this. Then it interpolates bilinearly, with
/// pixel centres at half, weights of 11 bits and sums rounded as in OpenCV's `INTER_LINEAR`. For a letterbox the target size
/// is the part of the input that shows the picture, see `Placement`; the rest is padding.
///
/// Tables are made anew when size, strides, crop or orientation of the frames change; otherwise a frame allocates nothing.
/// One thread at a time uses it.
public final class Preprocessor: @unchecked Sendable {
    private let input: InputSpec
    private var pixels: [UInt8]
    private var plan: Plan?

    /// The position of the last picture in the input.
    public private(set) var placement: Placement

    public init(_ input: InputSpec) {
        self.input = input
        pixels = [UInt8](repeating: input.padding.value, count: input.height * input.width * 3)
        placement = Placement(height: input.height, width: input.width, in: input)
    }

    /// Make the input from a frame.
    ///
    /// - Parameter orientation: how the frame lies in memory.
    /// - Returns: the input; if it is released before the next call, that reuses its memory.
    public func prepare(_ frame: Frame, orientation: Orientation = .upright) -> RGBImage {
        let tables = self.tables(for: frame, orientation)
        let (start, stride) = ((placement.top * input.width + placement.left) * 3, input.width * 3)
        pixels.withUnsafeMutableBufferPointer { pixels in
            let output = pixels.baseAddress! + start
            for y in 0..<placement.height { tables.row(y, of: frame, into: output + y * stride) }
        }
        return RGBImage(height: input.height, width: input.width, pixels: pixels)
    }

    /// Make the input from an image.
    public func prepare(_ image: RGBImage, orientation: Orientation = .upright) -> RGBImage {
        image.pixels.withUnsafeBufferPointer { bytes in
            let plane = Frame.Plane(bytes, rowStride: image.width * 3, pixelStride: 3)
            let frame = Frame(height: image.height, width: image.width, packed: plane, red: 0, green: 1, blue: 2)
            return prepare(frame, orientation: orientation)
        }
    }

    private func tables(for frame: Frame, _ orientation: Orientation) -> Plan {
        let layout = frame.layout
        if let plan, plan.layout == layout, plan.orientation == orientation {
            plan.begin()
            return plan
        }
        let (width, height) = (layout.crop.width, layout.crop.height)
        placement =
            orientation.swapsSides
            ? Placement(height: width, width: height, in: input) : Placement(height: height, width: width, in: input)
        let made = Plan(layout, orientation, placement, averages: input.sampling == .mean)
        pixels = [UInt8](repeating: input.padding.value, count: pixels.count)
        plan = made
        return made
    }
}

extension RGBImage {
    /// Resize the image to the input of a model, as `Preprocessor` does.
    public func fitted(to input: InputSpec) -> RGBImage { Preprocessor(input).prepare(self) }
}

/// Tables and rows for frames of one layout and orientation.
private final class Plan {
    let layout: Frame.Layout
    let orientation: Orientation
    private let rows: Axis
    private let columns: Axis
    private let width: Int
    private let means: Numbers
    private let stretched: (Numbers, Numbers)  // the latest two rows of the frame in the width of the result
    private var held = (-1, -1)

    init(_ layout: Frame.Layout, _ orientation: Orientation, _ placement: Placement, averages: Bool) {
        (self.layout, self.orientation, width) = (layout, orientation, placement.width)
        let crop = layout.crop
        func across(_ isReversed: Bool) -> Axis.Side {
            Axis.Side(
                start: crop.left, length: crop.width, isReversed: isReversed, step: layout.pixelStride,
                chromaStep: layout.chromaPixelStride)
        }
        func down(_ isReversed: Bool) -> Axis.Side {
            Axis.Side(
                start: crop.top, length: crop.height, isReversed: isReversed, step: layout.rowStride,
                chromaStep: layout.chromaRowStride)
        }
        let swaps = orientation.swapsSides
        let horizontal = swaps ? down(orientation.isFromRight) : across(orientation.isFromRight)
        let vertical = swaps ? across(orientation.isFromBelow) : down(orientation.isFromBelow)
        rows = Axis(vertical, target: placement.height, averages: averages, clampsWeights: false)
        columns = Axis(horizontal, target: placement.width, averages: averages, clampsWeights: true)
        func row(_ count: Int) -> Numbers { Numbers([Int](repeating: 0, count: count * 3)) }
        (means, stretched) = (row(columns.blocks), (row(width), row(width)))
    }

    /// Forget the rows of the frame before.
    func begin() { held = (-1, -1) }

    /// Compute a row of the result.
    func row(_ y: Int, of frame: Frame, into output: UnsafeMutablePointer<UInt8>) {
        let count = width * 3
        if rows.isExact, columns.isExact {
            read(y, of: frame)
            let means = means.start
            for i in 0..<count { output[i] = UInt8(truncatingIfNeeded: means[i]) }
            return
        }
        let upper = interpolated(Int(rows.first.start[y]), of: frame)
        let lower = interpolated(Int(rows.second.start[y]), of: frame)
        let (a, b) = (rows.firstWeight.start[y], rows.secondWeight.start[y])
        for i in 0..<count {
            let sum = (a &* upper[i]) >> 16 &+ (b &* lower[i]) >> 16
            output[i] = UInt8(truncatingIfNeeded: (sum &+ 2) >> 2)
        }
    }

    /// A row of the frame in the width of the result.
    private func interpolated(_ number: Int, of frame: Frame) -> UnsafeMutablePointer<Int32> {
        let isEven = number % 2 == 0
        let row = (isEven ? stretched.0 : stretched.1).start
        if (isEven ? held.0 : held.1) == number { return row }
        if isEven { held.0 = number } else { held.1 = number }
        read(number, of: frame)
        let means = means.start, first = columns.first.start, second = columns.second.start
        let firstWeight = columns.firstWeight.start, secondWeight = columns.secondWeight.start
        for x in 0..<width {
            let (left, right) = (means + Int(first[x]) * 3, means + Int(second[x]) * 3)
            let (a, b) = (firstWeight[x], secondWeight[x])
            for channel in 0..<3 { row[x * 3 + channel] = (left[channel] &* a &+ right[channel] &* b) >> 4 }
        }
        return row
    }

    /// Compute a row of the means of blocks, upright and in RGB, halves rounded up.
    private func read(_ row: Int, of frame: Frame) {
        switch frame.samples {
        case .yuv(let y, let u, let v, let matrix): readYUV(row, y, u, v, matrix.tables)
        case .packed(let plane, let red, let green, let blue): readPacked(row, plane, red, green, blue)
        }
    }

    private func readYUV(_ row: Int, _ y: Frame.Plane, _ u: Frame.Plane, _ v: Frame.Plane, _ tables: YUVMatrix.Tables) {
        let (luma, blue, red) = (y.bytes.baseAddress!, u.bytes.baseAddress!, v.bytes.baseAddress!)
        let levels = tables.luma.start, redV = tables.redV.start, blueU = tables.blueU.start
        let greenU = tables.greenU.start, greenV = tables.greenV.start
        let (lumaColumns, chromaColumns) = (columns.samples.start, columns.chroma.start)
        var (latest, colour) = (-1, (red: Int32(0), green: Int32(0), blue: Int32(0)))
        means(row) { above, column, sums in
            let level = levels[Int(luma[Int(rows.samples.start[above] &+ lumaColumns[column])])]
            let place = Int(rows.chroma.start[above] &+ chromaColumns[column])
            if place != latest {  // neighbours share it
                let (cb, cr) = (Int(blue[place]), Int(red[place]))
                (latest, colour) = (place, (redV[cr], greenU[cb] &+ greenV[cr], blueU[cb]))
            }
            sums.0 &+= Self.clamped(level &+ colour.red)
            sums.1 &+= Self.clamped(level &+ colour.green)
            sums.2 &+= Self.clamped(level &+ colour.blue)
        }
    }

    private func readPacked(_ row: Int, _ plane: Frame.Plane, _ red: Int, _ green: Int, _ blue: Int) {
        let (bytes, samples) = (plane.bytes.baseAddress!, columns.samples.start)
        means(row) { above, column, sums in
            let pixel = bytes + Int(rows.samples.start[above] &+ samples[column])
            sums.0 &+= Int32(pixel[red])
            sums.1 &+= Int32(pixel[green])
            sums.2 &+= Int32(pixel[blue])
        }
    }

    /// Compute the means of a row of blocks; `add` adds the colours of a pixel to sums.
    @inline(__always)
    private func means(_ row: Int, _ add: (_ above: Int, _ column: Int, _ sums: inout (Int32, Int32, Int32)) -> Void) {
        let (height, width) = (rows.block, columns.block)
        let (half, shift) = (Int32(height * width / 2), Int32((height * width).trailingZeroBitCount))
        var output = means.start
        for block in 0..<columns.blocks {
            var sums = (half, half, half)
            for above in row &* height..<(row &+ 1) &* height {
                for column in block &* width..<(block &+ 1) &* width { add(above, column, &sums) }
            }
            (output[0], output[1], output[2]) = (sums.0 &>> shift, sums.1 &>> shift, sums.2 &>> shift)
            output += 3
        }
    }

    @inline(__always)
    private static func clamped(_ sum: Int32) -> Int32 { max(0, min(255, sum >> YUVMatrix.Tables.bits)) }
}
