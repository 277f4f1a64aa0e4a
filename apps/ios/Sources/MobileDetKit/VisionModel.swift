#if canImport(Vision) && canImport(CoreML)
    import CoreML
    import MobileDetCore
    import Vision

    extension VNCoreMLModel {
        /// The `vision` face of a bundle, for apps that work with Vision: its requests give `VNRecognizedObjectObservation`.
        ///
        /// Set `imageCropAndScaleOption` on the request to what `crop and scale` of the model's metadata says: `.scaleFill`
        /// for a model that was trained on stretched images; of a letterbox `.scaleFit`, the nearest that Vision has.
        /// Vision scales by its own rule and fills in its own colour: `Detector` does just what the bundle says.
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
