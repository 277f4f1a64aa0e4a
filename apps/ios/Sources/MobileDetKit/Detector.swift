#if canImport(CoreML)
    import CoreGraphics
    import CoreML
    import CoreVideo
    import Foundation
    import MobileDetCore

    /// An object that was found in an image.
    public struct FoundObject: Sendable {
        /// Name of its class.
        public let label: String
        /// Index of its class in the labels of the model.
        public let classIndex: Int
        /// The data set's own id of its class (COCO: 1...90 with gaps).
        public let categoryID: Int
        /// 0...1.
        public let score: Float
        /// In pixels of the upright image, the origin in the top left corner.
        public internal(set) var box: CGRect
        /// The same in all frames of an object that a `Tracker` follows; nil without one.
        public internal(set) var id: Int?
    }

    /// Finds objects in images with a bundle that `mobiledet export` wrote.
    ///
    /// One image at a time: calls from several threads wait for each other.
    ///
    ///     let detector = try await Detector.open(Bundle.main.url(forResource: "Models/model", withExtension: "mobiledet")!)
    ///     for object in try detector.detect(image) { print(object.label, object.score, object.box) }
    public final class Detector: Sendable {
        /// What the model takes and finds.
        public let spec: ModelSpec
        /// What really runs it.
        public let execution: Execution
        private let model: any LoadedDetector
        let file: ModelFile
        private let lock = NSLock()
        private let preprocessor: Preprocessor  // used only under the lock

        /// Open a bundle, verify every file in it, and load a model file.
        ///
        /// Where the system offers Core AI (iOS 27) and the bundle holds a file for it, that is taken if it finds what the
        /// bundle says; otherwise a Core ML file. The first time the system compiles the file, which takes seconds; the
        /// result is kept.
        ///
        /// - Parameters:
        ///   - url: of the bundle, a folder or a zip file.
        ///   - file: a file of the bundle or its precision, such as `float16`; by default the one that the bundle
        ///     recommends.
        ///   - accelerator: `auto`, `cpu`, `gpu` or `ane`.
        /// - Throws: `MobileDetError` with one line for a person.
        public static func open(_ url: URL, file: String = "", accelerator: String = "auto") async throws -> Detector {
            try await onItsOwnThread { try Detector(url, file, accelerator) }
        }

        private init(_ url: URL, _ name: String, _ accelerator: String) throws {
            let bundle = try ModelBundle(at: url)
            spec = bundle.spec
            preprocessor = Preprocessor(spec.input)
            (model, file) = try ModelFormat.loadBest(bundle, name, accelerator: accelerator)
            execution = model.execution
        }

        /// Find objects in a picture.
        ///
        /// - Parameters:
        ///   - image: of any size.
        ///   - orientation: how it lies in memory; boxes are in pixels of the upright picture.
        ///   - minScore: leaves out what scores less; by default the thresholds of each class that `mobiledet thresholds`
        ///     stored in the bundle do, or 0.3 where it has none.
        public func detect(
            _ image: CGImage, orientation: Orientation = .upright, minScore: Float? = nil
        ) throws -> [FoundObject] {
            let pixels = try RGBImage(image)
            return try detect(above: minScore) { $0.prepare(pixels, orientation: orientation) }
        }

        /// Find objects in a picture, on a thread of its own.
        public func detect(
            _ image: CGImage, orientation: Orientation = .upright, minScore: Float? = nil
        ) async throws -> [FoundObject] {
            try await onItsOwnThread { try self.detect(image, orientation: orientation, minScore: minScore) }
        }

        /// Find objects in a frame of a camera: `420f`, `420v` or `32BGRA`; it is read in one pass into the model's input.
        public func detect(
            _ frame: CVPixelBuffer, orientation: Orientation = .upright, minScore: Float? = nil
        ) throws -> [FoundObject] {
            try detect(above: minScore) { preprocessor in
                try frame.withFrame { preprocessor.prepare($0, orientation: orientation) }
            }
        }

        /// Find objects in an image, best score first.
        public func detect(_ image: RGBImage, minScore: Float? = nil) throws -> [FoundObject] {
            try detect(above: minScore) { $0.prepare(image) }
        }

        private func detect(above minScore: Float?, _ prepare: (Preprocessor) throws -> RGBImage) throws
            -> [FoundObject]
        {
            let (found, placement) = try run(prepare)
            return found.compactMap { detection in
                guard file.shows(detection.classIndex, score: detection.score, minScore: minScore) else {
                    return nil
                }
                // what lies in the padding of a letterbox alone is in no image
                guard let box = placement.visible(placement.toImage(detection.box)) else { return nil }
                let label = detection.classIndex
                return FoundObject(
                    label: spec.labels[label], classIndex: label, categoryID: spec.categoryIDs[label],
                    score: detection.score, box: CGRect(box))
            }
        }

        private func run(_ prepare: (Preprocessor) throws -> RGBImage) throws -> ([Detection], Placement) {
            lock.lock()
            defer { lock.unlock() }
            try model.setInput(prepare(preprocessor))
            try model.invoke()
            return (try model.detections(), preprocessor.placement)
        }
    }

    extension CGRect {
        init(_ box: Box) {
            self.init(
                x: CGFloat(box.x1), y: CGFloat(box.y1), width: CGFloat(box.x2 - box.x1),
                height: CGFloat(box.y2 - box.y1))
        }
    }

    extension Box {
        init(_ rectangle: CGRect) {
            self.init(
                x1: Float(rectangle.minX), y1: Float(rectangle.minY), x2: Float(rectangle.maxX),
                y2: Float(rectangle.maxY))
        }
    }

    /// The result of work that computes for long, which must not hold up the main thread or tasks that wait for a core.
    func onItsOwnThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global(qos: .userInitiated).async { continuation.resume(with: Result { try work() }) }
        }
    }
#endif
