import Foundation

/// The largest differences between the outputs for the golden inputs and the expected ones.
public struct GoldenReport: Equatable, Sendable {
    /// Number of golden inputs.
    public let cases: Int
    /// Number of expected detections in them.
    public let detections: Int
    /// Lowest IoU of a matched pair.
    public let lowestIoU: Float
    /// Largest difference of scores in a matched pair.
    public let largestScoreDifference: Float
}

/// The golden gate: does a runtime reproduce the outputs of a model file?
///
/// Detections are compared as sets. Runtimes round differently, so a detection may be unmatched where lists are cut: at the
/// score threshold, at the last candidate, or at the end of a full list. A few detections may also be unmatched because the
/// other side kept an overlapping box of the same class. The rules are those of `mobiledet/devices/golden.py`.
public struct GoldenGate: Sendable {
    /// Fraction of the expected detections that may be suppressed differently because an IoU is near the NMS threshold.
    static let unsettledShare = 0.05
    /// With at least this number of expected detections, half of them must match even if lists are cut.
    static let few = 10

    let nms: NMSSpec
    let labels: [String]
    let tolerance: Tolerance

    init(nms: NMSSpec, labels: [String], tolerance: Tolerance) {
        (self.nms, self.labels, self.tolerance) = (nms, labels, tolerance)
    }

    /// The gate for a model file of a bundle; `accelerator` is the one that actually runs it.
    public init(_ spec: ModelSpec, _ file: GoldenFile, accelerator: String) {
        self.init(nms: spec.nms, labels: spec.labels, tolerance: file.tolerance(accelerator))
    }

    /// Compare the detections that `detect` returns for each case with the expected ones; boxes are fractions.
    ///
    /// - Throws: `MobileDetError` if they differ; errors of `detect`.
    public func replay(_ cases: [GoldenCase], detect: (GoldenCase) throws -> [Detection]) throws -> GoldenReport {
        let total = cases.reduce(0) { $0 + $1.expected.count }
        var pairs: [Pair] = []
        var unsettled = 0
        var detectsAnything = false
        for (index, golden) in cases.enumerated() {
            let found = try detect(golden)
            let matched = match(golden.expected, found)
            pairs += matched
            detectsAnything = detectsAnything || found.contains { $0.score != 0 }
            var problem: String?
            switch difference(golden, found, matched) {
            case .none(let open): unsettled += open
            case .some(let text): problem = text
            }
            if problem == nil, unsettled > Int((Self.unsettledShare * Double(total)).rounded(.up)) {
                problem = "\(unsettled) of \(total) boxes are suppressed differently"
            }
            if let problem { throw failed(index, problem, isEncoded: golden.isEncoded) }
        }
        if total > 0, !detectsAnything { throw failed(0, "it detects nothing where \(total) detections are expected") }
        if total >= Self.few, 2 * pairs.count < total {
            throw failed(0, "only \(pairs.count) of \(total) detections match")
        }
        return GoldenReport(
            cases: cases.count, detections: total, lowestIoU: pairs.map(\.iou).min() ?? 1,
            largestScoreDifference: pairs.map(\.scoreDifference).max() ?? 0)
    }

    private func failed(_ index: Int, _ problem: String, isEncoded: Bool = false) -> MobileDetError {
        let cause = isEncoded && index > 0 ? "it may decode or resize images differently; " : ""
        return MobileDetError(
            "this runtime does not reproduce the outputs of the model file: golden case \(index): \(problem); \(cause)its results "
                + "would be worthless, try another accelerator")
    }

    private struct Pair {
        let expected: Int
        let found: Int
        let iou: Float
        let scoreDifference: Float
    }

    /// Match the detections of two lists one to one, best score first, each with the matching one of highest IoU.
    private func match(_ expected: [Detection], _ found: [Detection]) -> [Pair] {
        var free = Set(found.indices)
        let order = expected.indices.sorted { (expected[$1].score, $0) < (expected[$0].score, $1) }
        return order.compactMap { row in
            let wanted = expected[row]
            var best: Pair?
            for column in found.indices where free.contains(column) && found[column].classIndex == wanted.classIndex {
                let iou = wanted.box.iou(found[column].box)
                let difference = abs(wanted.score - found[column].score)
                if iou >= tolerance.iou, difference <= tolerance.score, iou > best?.iou ?? -1 {
                    best = Pair(expected: row, found: column, iou: iou, scoreDifference: difference)
                }
            }
            if let best { free.remove(best.found) }
            return best
        }
    }

    private enum Difference {
        /// No difference, except for a number of boxes that were suppressed on one side only.
        case none(Int)
        case some(String)
    }

    private func difference(_ golden: GoldenCase, _ found: [Detection], _ pairs: [Pair]) -> Difference {
        if !golden.expected.isEmpty, !found.isEmpty, found.allSatisfy({ $0.score == 0 }) {
            return .some("all scores are zero where \(golden.expected.count) detections are expected")
        }
        var unsettled = 0
        for (verb, ours, theirs, paired) in [
            ("misses", golden.expected, found, Set(pairs.map(\.expected))),
            ("invents", found, golden.expected, Set(pairs.map(\.found))),
        ] {
            let end = theirs.count >= nms.maxDetections ? theirs.map(\.score).min() ?? golden.cut : golden.cut
            let single = ours.indices.filter { index in
                let isAtCut =
                    ours[index].score >= golden.cut - tolerance.score && ours[index].score <= end + tolerance.score
                return !paired.contains(index) && !isAtCut
            }
            let unexplained = single.filter { !isSuppressed(ours[$0], by: theirs) }
            unsettled = max(unsettled, single.count - unexplained.count)
            if let worst = unexplained.max(by: { ours[$0].score < ours[$1].score }).map({ ours[$0] }) {
                let sides = [worst.box.x1, worst.box.y1, worst.box.x2, worst.box.y2]
                let box = sides.map { decimal($0) }.joined(separator: ", ")
                let label = labels.indices.contains(worst.classIndex) ? labels[worst.classIndex] : "\(worst.classIndex)"
                return .some(
                    "it \(verb) \(label) \(decimal(worst.score)) at (\(box)), \(single.count) of \(ours.count) differ")
            }
        }
        return .none(unsettled)
    }

    /// Whether an overlapping box with a similar or better score may have suppressed this one.
    private func isSuppressed(_ detection: Detection, by others: [Detection]) -> Bool {
        let least = nms.iou - (1 - tolerance.iou)
        return others.contains { other in
            other.classIndex == detection.classIndex && other.score >= detection.score - tolerance.score
                && detection.box.iou(other.box) >= least
        }
    }
}

private func decimal(_ value: Float) -> String {
    String(format: "%.3f", Double(value))
}
