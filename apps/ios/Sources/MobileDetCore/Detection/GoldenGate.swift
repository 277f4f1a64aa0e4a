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

/// The golden gate: does a runtime give what the bundle says it must?
///
/// Detections are compared as sets. Runtimes round differently, so a detection may lack its partner where lists are cut,
/// at the lowest score or the end of a full list, and a few may lack it where the other side kept an overlapping box of
/// the same class. The rules are those of `mobiledet/devices/golden.py`.
public struct GoldenGate: Sendable {
    /// Part of the expected detections that may be decided the other way where two boxes overlap by just the threshold.
    static let unsettledShare = 0.05

    let nms: NMSSpec
    let labels: [String]
    let tolerance: Tolerance

    init(nms: NMSSpec, labels: [String], tolerance: Tolerance) {
        (self.nms, self.labels, self.tolerance) = (nms, labels, tolerance)
    }

    /// The gate of a bundle for a model file.
    ///
    /// - Throws: `MobileDetError` when the bundle has no tolerance for the file's precision.
    public init(_ bundle: ModelBundle, golden: Golden, file: ModelFile) throws {
        guard let tolerance = golden.tolerances[file.precision] else {
            throw MobileDetError("the bundle has no golden tolerance for precision \(file.precision); export it again")
        }
        self.init(nms: bundle.spec.nms, labels: bundle.spec.labels, tolerance: tolerance)
    }

    /// Compare what `detect` finds in the golden inputs with what is expected, boxes as fractions.
    ///
    /// - Throws: `MobileDetError` when they differ, or there is no golden case; and what `detect` throws.
    public func replay(_ cases: [GoldenCase], detect: (RGBImage) throws -> [Detection]) throws -> GoldenReport {
        try compare(cases.map(\.expected)) { try detect(cases[$0].image) }
    }

    func compare(_ expected: [[Detection]], found: (Int) throws -> [Detection]) throws -> GoldenReport {
        guard !expected.isEmpty else {
            throw MobileDetError(
                "the bundle holds no golden case, so no runtime can be checked with it; export it again")
        }
        let total = expected.reduce(0) { $0 + $1.count }
        var pairs: [Pair] = []
        var unsettled = 0
        for (index, wanted) in expected.enumerated() {
            let given = try found(index)
            let matched = match(wanted, given)
            pairs += matched
            var problem: String?
            switch difference(wanted, given, matched) {
            case .none(let open): unsettled += open
            case .some(let text): problem = text
            }
            if problem == nil, unsettled > Int((Self.unsettledShare * Double(total)).rounded(.up)) {
                problem = "\(unsettled) of \(total) boxes are suppressed differently"
            }
            if let problem {
                throw MobileDetError(
                    "golden case \(index) fails here: \(problem); its results would be worthless, "
                        + "try another accelerator or export the bundle again")
            }
        }
        return GoldenReport(
            cases: expected.count, detections: total, lowestIoU: pairs.map(\.iou).min() ?? 1,
            largestScoreDifference: pairs.map(\.scoreDifference).max() ?? 0)
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

    private func difference(_ expected: [Detection], _ found: [Detection], _ pairs: [Pair]) -> Difference {
        if !expected.isEmpty, found.allSatisfy({ $0.score == 0 }) {
            return .some("all scores are zero where \(expected.count) detections are expected")
        }
        var unsettled = 0
        for (verb, ours, theirs, paired) in [
            ("misses", expected, found, Set(pairs.map(\.expected))),
            ("invents", found, expected, Set(pairs.map(\.found))),
        ] {
            let cut = theirs.count >= nms.maxDetections ? theirs.map(\.score).min() ?? nms.score : nms.score
            let single = ours.indices.filter { !paired.contains($0) && ours[$0].score > cut + tolerance.score }
            let unexplained = single.filter { !isSuppressed(ours[$0], by: theirs) }
            unsettled += single.count - unexplained.count
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
