extension RGBImage {
    /// Stretch to another size, bilinear with pixel centres at half; the image itself if it fits.
    ///
    /// Weights have 11 bits and sums are rounded as in OpenCV's `INTER_LINEAR`, which the rest of the project resizes with:
    /// the bytes are the same ones, so that a device adds nothing of its own to what the model sees.
    public func resized(height newHeight: Int, width newWidth: Int) -> RGBImage {
        if (newHeight, newWidth) == (height, width) { return self }
        let columns = Taps(from: width, to: newWidth, clampsWeights: true)
        let rows = Taps(from: height, to: newHeight, clampsWeights: false)
        let output = [UInt8](unsafeUninitializedCapacity: newHeight * newWidth * 3) { output, count in
            pixels.withUnsafeBufferPointer { source in
                interpolate(source, columns, rows, into: output)
            }
            count = newHeight * newWidth * 3
        }
        return RGBImage(height: newHeight, width: newWidth, pixels: output)
    }

    private func interpolate(
        _ source: UnsafeBufferPointer<UInt8>, _ columns: Taps, _ rows: Taps,
        into output: UnsafeMutableBufferPointer<UInt8>
    ) {
        let rowCount = columns.first.count * 3
        var upper = [Int32](repeating: 0, count: rowCount), lower = upper
        var held = (upper: -1, lower: -1)  // rows of the source that have been interpolated
        for y in rows.first.indices {
            let wanted = (upper: rows.first[y], lower: rows.second[y])
            if wanted.upper != held.upper {
                if wanted.upper == held.lower {
                    swap(&upper, &lower)
                    held.lower = held.upper
                } else {
                    stretchRow(source, wanted.upper, columns, into: &upper)
                }
                held.upper = wanted.upper
            }
            if wanted.lower != held.lower {
                stretchRow(source, wanted.lower, columns, into: &lower)
                held.lower = wanted.lower
            }
            let (a, b) = (rows.firstWeight[y], rows.secondWeight[y])
            let start = y * rowCount
            for i in 0..<rowCount {
                let sum = (a &* (upper[i] >> 4)) >> 16 &+ (b &* (lower[i] >> 4)) >> 16
                output[start + i] = UInt8(clamping: (sum &+ 2) >> 2)
            }
        }
    }

    private func stretchRow(
        _ source: UnsafeBufferPointer<UInt8>, _ row: Int, _ columns: Taps, into output: inout [Int32]
    ) {
        let start = row * width * 3
        output.withUnsafeMutableBufferPointer { output in
            for x in columns.first.indices {
                let (left, right) = (start + columns.first[x] * 3, start + columns.second[x] * 3)
                let (a, b) = (columns.firstWeight[x], columns.secondWeight[x])
                for channel in 0..<3 {
                    output[x * 3 + channel] =
                        Int32(source[left + channel]) &* a &+ Int32(source[right + channel]) &* b
                }
            }
        }
    }
}

/// The two source pixels of each target pixel along one side, with their weights of 11 bits.
private struct Taps {
    private(set) var first: [Int] = []
    private(set) var second: [Int] = []
    private(set) var firstWeight: [Int32] = []
    private(set) var secondWeight: [Int32] = []

    /// - Parameter clampsWeights: at the ends the nearest pixel counts alone; OpenCV does so along rows only.
    init(from source: Int, to target: Int, clampsWeights: Bool) {
        let scale = 1 / (Double(target) / Double(source))
        for index in 0..<target {
            let centre = Float((Double(index) + 0.5) * scale - 0.5)
            var whole = Int(centre.rounded(.down))
            var fraction = centre - Float(whole)
            if clampsWeights, whole < 0 || whole >= source - 1 {
                whole = whole < 0 ? 0 : source - 1
                fraction = 0
            }
            first.append(min(max(whole, 0), source - 1))
            second.append(min(max(whole + 1, 0), source - 1))
            firstWeight.append(Int32(((1 - fraction) * 2048).rounded(.toNearestOrEven)))
            secondWeight.append(Int32((fraction * 2048).rounded(.toNearestOrEven)))
        }
    }
}
