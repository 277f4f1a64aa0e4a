#if canImport(CoreML)
    import CoreML
    import CoreVideo
    import Foundation
    import MobileDetCore

    /// A Core ML file of a bundle in memory, of either face. One thread at a time uses it.
    final class CoreMLDetector: LoadedDetector, @unchecked Sendable {
        let execution: Execution
        private let spec: ModelSpec
        private let isVision: Bool
        private let name: String
        private let compiled: URL
        private let configuration: MLModelConfiguration
        private let model: MLModel
        private let input: CVPixelBuffer
        private let features: MLDictionaryFeatureProvider
        private var outputs: (any MLFeatureProvider)?

        /// Load a file of a bundle.
        ///
        /// - Parameter accelerator: a name of `ComputeUnit`.
        init(_ bundle: ModelBundle, _ file: ModelFile, accelerator: String) throws {
            guard file.format == "coreml" else {
                throw MobileDetError("\(file.path) is \(file.format); Apple's systems run Core ML files")
            }
            let units = try ComputeUnit(named: accelerator)
            (spec, isVision, name) = (bundle.spec, file.face == "vision", file.path)
            configuration = MLModelConfiguration()
            configuration.computeUnits = units.allowed
            do {
                compiled = try CompiledModels.url(of: file, in: bundle)
                model = try MLModel(contentsOf: compiled, configuration: configuration)
            } catch let error as MobileDetError {
                throw error
            } catch {
                throw MobileDetError("Core ML cannot load \(file.path): \(error.localizedDescription); export it again")
            }
            let needed = isVision ? ["coordinates", "confidence"] : ["boxes", "classes", "scores", "count"]
            let given = model.modelDescription.outputDescriptionsByName
            guard model.modelDescription.inputDescriptionsByName["image"]?.type == .image,
                needed.allSatisfy({ given[$0] != nil })
            else {
                throw MobileDetError("\(file.path) does not take an image and give \(needed.joined(separator: ", "))")
            }
            input = try newPixelBuffer(height: spec.input.height, width: spec.input.width)
            features = try MLDictionaryFeatureProvider(dictionary: ["image": MLFeatureValue(pixelBuffer: input)])
            execution = try Execution(of: compiled, configuration, requested: units)
        }

        func setInput(_ image: RGBImage) throws {
            try image.copy(to: input)
        }

        func invoke() throws {
            do {
                outputs = try model.prediction(from: features)
            } catch {
                throw MobileDetError("Core ML cannot run \(name): \(error.localizedDescription)")
            }
        }

        func detections() throws -> [Detection] {
            if isVision {
                return try Decoding.vision(
                    coordinates: numbers("coordinates"), confidence: numbers("confidence"),
                    classCount: spec.labels.count)
            }
            guard let count = try numbers("count").first else { throw MobileDetError("\(name) gives no count") }
            return try Decoding.graph(
                boxes: numbers("boxes"), classes: numbers("classes"), scores: numbers("scores"), count: count,
                classCount: spec.labels.count)
        }

        /// Load the model anew; iOS starts no process for it, so what Core ML keeps between loads is not measured.
        func coldStart(_ image: RGBImage) throws -> ColdStart {
            try setInput(image)
            let before = MemoryReading()
            let started = monotonicNs()
            do {
                let fresh = try MLModel(contentsOf: compiled, configuration: configuration)
                let loaded = monotonicNs()
                _ = try fresh.prediction(from: features)
                let finished = monotonicNs()
                let grown = MemoryReading().footprint.flatMap { now in before.footprint.map { max(0, now - $0) } }
                return ColdStart(loadNs: loaded - started, firstInferNs: finished - loaded, memoryBytes: grown)
            } catch {
                throw MobileDetError("Core ML cannot load \(name) again: \(error.localizedDescription)")
            }
        }

        /// The numbers of an output, row by row.
        private func numbers(_ output: String) throws -> [Float] {
            guard let values = outputs?.featureValue(for: output)?.multiArrayValue else {
                throw MobileDetError("\(name) gives no numbers as \(output); export it again")
            }
            return MLShapedArray<Float>(converting: values).scalars
        }
    }

    /// What may run a model file, by the names of the agent protocol.
    enum ComputeUnit: String, CaseIterable {
        case auto, cpu, gpu, ane

        init(named name: String) throws {
            guard let unit = ComputeUnit(rawValue: name) else {
                let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
                throw MobileDetError("accelerator '\(name)' is not one of \(known)")
            }
            self = unit
        }

        /// Core ML is told what it may use; the processor is always among it.
        var allowed: MLComputeUnits {
            switch self {
            case .auto: .all
            case .cpu: .cpuOnly
            case .gpu: .cpuAndGPU
            case .ane: .cpuAndNeuralEngine
            }
        }
    }
#endif
