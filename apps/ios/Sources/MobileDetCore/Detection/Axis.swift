/// Numbers in memory of their own, which tight loops read without checks of bounds.
final class Numbers: @unchecked Sendable {
    let start: UnsafeMutablePointer<Int32>
    let count: Int

    init(_ values: [Int]) {
        count = values.count
        start = .allocate(capacity: max(count, 1))
        for (index, value) in values.enumerated() { start[index] = Int32(value) }
    }

    deinit { start.deallocate() }
}

/// How one side of an upright picture becomes a side of the model's input: tables of `Preprocessor`.
struct Axis {
    /// The pixels of a frame along the side: `length` from `start` on, `step` bytes apart.
    struct Side {
        let start: Int
        let length: Int
        let isReversed: Bool
        let step: Int
        let chromaStep: Int
    }

    /// Pixels of a block.
    let block: Int
    /// Number of blocks that the result depends on.
    let blocks: Int
    /// Whether each block is a pixel of the result.
    let isExact: Bool
    /// Positions in the frame's plane of the pixels of these blocks; the last pixel is repeated to fill its block.
    let samples: Numbers
    /// The same in the halved planes.
    let chroma: Numbers
    /// For each pixel of the result: its two neighbours among the used blocks, with their weights of 11 bits.
    let first: Numbers
    let second: Numbers
    let firstWeight: Numbers
    let secondWeight: Numbers

    /// - Parameters:
    ///   - averages: reduce the side to means of blocks first.
    ///   - clampsWeights: use the nearest pixel beyond the ends; OpenCV does so along rows only, and repeats the outermost
    ///     rows.
    init(_ side: Side, target: Int, averages: Bool, clampsWeights: Bool) {
        let block = averages ? Self.blockSize(side.length, target) : 1
        let all = (side.length + block - 1) / block
        let real = Double(side.length) / Double(block)
        var first: [Int] = [], second: [Int] = [], firstWeight: [Int] = [], secondWeight: [Int] = []
        let scale = 1 / (Double(target) / real)
        for index in 0..<target {
            let centre = Float((Double(index) + 0.5) * scale - 0.5)
            var whole = Int(centre.rounded(.down))
            var fraction = centre - Float(whole)
            if clampsWeights, whole < 0 || whole >= all - 1 {
                whole = whole < 0 ? 0 : all - 1
                fraction = 0
            }
            firstWeight.append(Int(((1 - fraction) * 2048).rounded(.toNearestOrEven)))
            secondWeight.append(Int((fraction * 2048).rounded(.toNearestOrEven)))
            first.append(min(max(whole, 0), all - 1))
            // a block without weight is not read
            second.append(secondWeight[index] == 0 ? first[index] : min(max(whole + 1, 0), all - 1))
        }
        let used = Set(first + second).sorted()
        let places = Dictionary(uniqueKeysWithValues: zip(used, used.indices))
        let stored = used.flatMap { number in
            (number * block..<(number + 1) * block).map { pixel in
                let upright = min(pixel, side.length - 1)
                return side.start + (side.isReversed ? side.length - 1 - upright : upright)
            }
        }
        (self.block, blocks, isExact) = (block, used.count, real == Double(target))
        (samples, chroma) = (Numbers(stored.map { $0 * side.step }), Numbers(stored.map { $0 / 2 * side.chromaStep }))
        (self.first, self.second) = (Numbers(first.map { places[$0]! }), Numbers(second.map { places[$0]! }))
        (self.firstWeight, self.secondWeight) = (Numbers(firstWeight), Numbers(secondWeight))
    }

    /// The largest power of two by which a side can be reduced to at least `target` pixels.
    private static func blockSize(_ source: Int, _ target: Int) -> Int {
        var size = 1
        while source / (2 * size) >= target { size *= 2 }
        return size
    }
}
