#if canImport(Vision) && canImport(CoreML)
    import CoreML
    import MobileDetCore
    import Vision

    extension VNCoreMLModel {
        /// The `vision` face of a bundle, for apps that work with Vision: its requests give `VNRecognizedObjectObservation`.
        ///
        /// Set `imageCropAndScaleOption = .scaleFill` on the request: the model was trained on stretched images.
        ///
        /// - Parameters:
        ///   - url: of the bundle.
        ///   - precision: such as `float16`; by default the first.
        /// - Throws: `MobileDetError` when the bundle holds no such file.
        public static func ofBundle(
            _ url: URL, precision: String = "", computeUnits: MLComputeUnits = .all
        ) throws -> VNCoreMLModel {
            let bundle = try ModelBundle(at: url)
            let fitting = bundle.files.filter {
                $0.face == "vision" && (precision.isEmpty || $0.precision == precision)
            }
            guard let file = fitting.first else {
                throw MobileDetError(
                    "\(url.lastPathComponent) holds no vision file\(precision.isEmpty ? "" : " of \(precision)")")
            }
            let configuration = MLModelConfiguration()
            configuration.computeUnits = computeUnits
            let compiled = try CompiledModels.url(of: file, in: bundle)
            return try VNCoreMLModel(for: MLModel(contentsOf: compiled, configuration: configuration))
        }
    }
#endif
