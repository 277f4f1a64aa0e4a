extension RGBImage {
    /// Resize the image to the input of a model; equal to the bit in all languages of the project.
    ///
    /// Each side is first reduced by the largest power of two that leaves at least the model's size: a pixel is the mean of
    /// its block, halves rounded up; if the last block is incomplete, the last row or column is repeated. The result is then
    /// resized bilinearly, with pixel centres at half, weights of 11 bits and sums rounded as in OpenCV's `INTER_LINEAR`.
    /// Sampling `bilinear` skips the first step. For a letterbox the target size is the part of the input that shows the
    /// image, see `Placement`.
    public func fitted(to input: InputSpec) -> RGBImage {
        if (input.height, input.width) == (height, width) { return self }
        let part = Placement(height: height, width: width, in: input)
        let averages = input.sampling == .mean
        let rows = averages ? blockSize(height, part.height) : 1
        let columns = averages ? blockSize(width, part.width) : 1
        return blockMeans(rows: rows, columns: columns).stretched(
            from: (Double(height) / Double(rows), Double(width) / Double(columns)), to: (part.height, part.width)
        ).padded(part, input)
    }

    /// Add the padding of a letterbox around the image.
    private func padded(_ part: Placement, _ input: InputSpec) -> RGBImage {
        if (input.height, input.width) == (height, width) { return self }
        var whole = [UInt8](repeating: input.padding.value, count: input.height * input.width * 3)
        for y in 0..<height {
            let start = ((part.top + y) * input.width + part.left) * 3
            whole.replaceSubrange(start..<start + width * 3, with: pixels[y * width * 3..<(y + 1) * width * 3])
        }
        return RGBImage(height: input.height, width: input.width, pixels: whole)
    }

    /// The largest power of two by which a side can be reduced to at least `target` pixels.
    private func blockSize(_ source: Int, _ target: Int) -> Int {
        var size = 1
        while source / (2 * size) >= target { size *= 2 }
        return size
    }

    private func blockMeans(rows: Int, columns: Int) -> RGBImage {
        if (rows, columns) == (1, 1) { return self }
        let newHeight = (height + rows - 1) / rows, newWidth = (width + columns - 1) / columns
        let missing = UInt32(newWidth * columns - width), rowCount = newWidth * 3
        let shift = (rows * columns).trailingZeroBitCount, half = UInt32(rows * columns / 2)
        var sums = [UInt32](repeating: 0, count: rowCount)
        let output = [UInt8](unsafeUninitializedCapacity: newHeight * rowCount) { output, count in
            pixels.withUnsafeBufferPointer { source in
                for y in 0..<newHeight {
                    for index in sums.indices { sums[index] = half }
                    for row in y * rows..<(y + 1) * rows {
                        addRow(source, min(row, height - 1), columns, missing, to: &sums)
                    }
                    for index in sums.indices { output[y * rowCount + index] = UInt8(sums[index] >> shift) }
                }
            }
            count = newHeight * rowCount
        }
        return RGBImage(height: newHeight, width: newWidth, pixels: output)
    }

    /// Add a row to the sums of its blocks; the last pixel is repeated to complete the last block.
    private func addRow(
        _ source: UnsafeBufferPointer<UInt8>, _ row: Int, _ columns: Int, _ missing: UInt32, to sums: inout [UInt32]
    ) {
        let start = row * width * 3
        sums.withUnsafeMutableBufferPointer { sums in
            for x in 0..<width {
                let (block, pixel) = (x / columns * 3, start + x * 3)
                for channel in 0..<3 { sums[block + channel] &+= UInt32(source[pixel + channel]) }
            }
            for channel in 0..<3 {
                sums[sums.count - 3 + channel] &+= missing * UInt32(source[start + (width - 1) * 3 + channel])
            }
        }
    }

    /// Resize bilinearly; `real` is the size of the content, which may end within the last row or column.
    private func stretched(from real: (Double, Double), to size: (Int, Int)) -> RGBImage {
        if real == (Double(size.0), Double(size.1)) { return self }
        let (newHeight, newWidth) = size
        let columns = Taps(pixels: width, real: real.1, to: newWidth, clampsWeights: true)
        let rows = Taps(pixels: height, real: real.0, to: newHeight, clampsWeights: false)
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
        var held = (upper: -1, lower: -1)  // source rows that are interpolated in `upper` and `lower`
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

    /// - Parameter clampsWeights: use only the nearest pixel beyond the ends; OpenCV does so along rows only.
    init(pixels source: Int, real: Double, to target: Int, clampsWeights: Bool) {
        let scale = 1 / (Double(target) / real)
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
