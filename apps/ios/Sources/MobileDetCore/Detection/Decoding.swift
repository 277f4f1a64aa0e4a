/// Converts the outputs of a model file to detections.
///
/// Boxes are fractions of the model's input; `Placement` converts them to pixels of the image.
public enum Decoding {
    /// Detections from the four outputs of a .tflite file or of the `graph` interface of a Core ML package.
    ///
    /// - Parameters:
    ///   - boxes: K x 4 (ymin, xmin, ymax, xmax) in 0...1.
    ///   - classes: K class indices.
    ///   - scores: K scores, best first.
    ///   - count: number of rows that are detections; the others are padding.
    ///   - classCount: number of classes of the model.
    /// - Throws: `MobileDetError` if the outputs are not finite, or contain an impossible count or class.
    public static func graph(
        boxes: [Float], classes: [Float], scores: [Float], count: Float, classCount: Int
    ) throws -> [Detection] {
        let rows = scores.count
        guard boxes.count == 4 * rows, classes.count == rows else {
            throw MobileDetError("the outputs' shapes do not agree; export the bundle again")
        }
        guard count.isFinite, [boxes, classes, scores].allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
            throw MobileDetError("the outputs are not finite numbers; export the bundle again")
        }
        guard 0...Float(rows) ~= count else {
            throw MobileDetError("it reports \(count) detections in \(rows) rows; export the bundle again")
        }
        return try (0..<Int(count)).map { row in
            let label = classes[row].rounded(.toNearestOrEven)
            guard 0..<Float(classCount) ~= label else {
                throw MobileDetError(
                    "it returns class \(label), but its classes are 0 to \(classCount - 1); export the bundle again")
            }
            let box = Box(x1: boxes[4 * row + 1], y1: boxes[4 * row], x2: boxes[4 * row + 3], y2: boxes[4 * row + 2])
            return Detection(box: box, score: scores[row], classIndex: Int(label))
        }
    }

    /// Detections from the two outputs of the `vision` interface of a Core ML package.
    ///
    /// The class of a row is that of its highest confidence. Rows of zeros are padding.
    ///
    /// - Parameters:
    ///   - coordinates: K x 4 (centre x, centre y, width, height) in 0...1.
    ///   - confidence: K x C.
    ///   - classCount: C.
    /// - Throws: `MobileDetError` if the outputs are not finite, or their shapes do not agree.
    public static func vision(coordinates: [Float], confidence: [Float], classCount: Int) throws -> [Detection] {
        let rows = coordinates.count / 4
        guard coordinates.count == 4 * rows, confidence.count == rows * classCount else {
            throw MobileDetError("the outputs' shapes do not agree; export the bundle again")
        }
        guard coordinates.allSatisfy(\.isFinite), confidence.allSatisfy(\.isFinite) else {
            throw MobileDetError("the outputs are not finite numbers; export the bundle again")
        }
        let found = (0..<rows).compactMap { row -> Detection? in
            let scores = confidence[row * classCount..<(row + 1) * classCount]
            guard let best = scores.indices.max(by: { scores[$0] < scores[$1] }), scores[best] > 0 else { return nil }
            let (x, y) = (coordinates[4 * row], coordinates[4 * row + 1])
            let (halfWidth, halfHeight) = (coordinates[4 * row + 2] / 2, coordinates[4 * row + 3] / 2)
            let box = Box(x1: x - halfWidth, y1: y - halfHeight, x2: x + halfWidth, y2: y + halfHeight)
            // a package cannot clip boxes after Core ML's suppression
            return Detection(
                box: box.clipped(right: 1, bottom: 1), score: scores[best], classIndex: best - scores.startIndex)
        }
        // Core ML sorts rows by score; rows with equal scores keep their order
        return found.enumerated().sorted { ($1.element.score, $0.offset) < ($0.element.score, $1.offset) }.map(
            \.element)
    }
}
