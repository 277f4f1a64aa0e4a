import Foundation

/// How far the outputs of the golden inputs are from the expected ones, at worst.
public struct GoldenReport: Equatable, Sendable {
    /// Golden inputs replayed.
    public let cases: Int
    /// Expected detections in them.
    public let detections: Int
    /// Of the matched pairs.
    public let lowestIoU: Float
    /// Of the matched pairs.
    public let largestScoreDifference: Float
}

/// The golden gate: does a runtime compute what a model file gives?
///
/// Detections are compared as sets. Runtimes round differently, so a detection may lack its partner where lists are cut,
/// at the lowest score, at the last candidate or the end of a full list, and a few may lack it where the other side kept
/// an overlapping box of the same class. The rules are those of `mobiledet/devices/golden.py`.
public struct GoldenGate: Sendable {
    /// Part of the expected detections that may be decided the other way where two boxes overlap by just the threshold.
    static let unsettledShare = 0.05
    /// From so many expected detections on, at least half must have a partner, wherever lists are cut.
    static let few = 10

    let nms: NMSSpec
    let labels: [String]
    let tolerance: Tolerance

    init(nms: NMSSpec, labels: [String], tolerance: Tolerance) {
        (self.nms, self.labels, self.tolerance) = (nms, labels, tolerance)
    }

    /// The gate for a model file of a bundle; `accelerator` is what really runs it.
    public init(_ spec: ModelSpec, _ file: GoldenFile, accelerator: String) {
        self.init(nms: spec.nms, labels: spec.labels, tolerance: file.tolerance(accelerator))
    }

    /// Compare what `detect` finds in the golden cases with what is expected, boxes as fractions.
    ///
    /// - Throws: `MobileDetError` when they differ; and what `detect` throws.
    public func replay(_ cases: [GoldenCase], detect: (GoldenCase) throws -> [Detection]) throws -> GoldenReport {
        let total = cases.reduce(0) { $0 + $1.expected.count }
        var pairs: [Pair] = []
        var unsettled = 0
        var findsAnything = false
        for (index, golden) in cases.enumerated() {
            let given = try detect(golden)
            let matched = match(golden.expected, given)
            pairs += matched
            findsAnything = findsAnything || given.contains { $0.score != 0 }
            var problem: String?
            switch difference(golden, given, matched) {
            case .none(let open): unsettled += open
            case .some(let text): problem = text
            }
            if problem == nil, unsettled > Int((Self.unsettledShare * Double(total)).rounded(.up)) {
                problem = "\(unsettled) of \(total) boxes are suppressed differently"
            }
            if let problem { throw failed(index, problem, isEncoded: golden.isEncoded) }
        }
        if total > 0, !findsAnything { throw failed(0, "it finds nothing where \(total) detections are expected") }
        if total >= Self.few, 2 * pairs.count < total {
            throw failed(0, "\(pairs.count) of \(total) detections are there")
        }
        return GoldenReport(
            cases: cases.count, detections: total, lowestIoU: pairs.map(\.iou).min() ?? 1,
            largestScoreDifference: pairs.map(\.scoreDifference).max() ?? 0)
    }

    private func failed(_ index: Int, _ problem: String, isEncoded: Bool = false) -> MobileDetError {
        let cause = isEncoded && index > 0 ? "it may decode or resize pictures otherwise; " : ""
        return MobileDetError(
            "this runtime does not compute what the file gives: golden case \(index): \(problem); \(cause)its results "
                + "would be worthless, try another accelerator")
    }

    private struct Pair {
        let expected: Int
        let found: Int
        let iou: Float
        let scoreDifference: Float
    }

    /// Pair the detections of two lists one to one, best score first, each with the same one of the highest IoU.
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
        /// Nothing; so many boxes were suppressed on one side only.
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

    /// Whether a box on the same place that is as good may have suppressed this one.
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
