#if canImport(CoreML) && canImport(CoreAI)
    import CoreAI
    import Foundation
    import MobileDetCore

    /// A Core AI file of a bundle in memory. One thread at a time uses it.
    @available(iOS 27.0, macOS 27.0, *)
    final class CoreAIDetector: LoadedDetector, @unchecked Sendable {
        static let function = "main"
        static let image = "image"
        static let outputs = ["boxes", "classes", "scores", "count"]

        let execution: Execution
        private let spec: ModelSpec
        private let name: String
        private let url: URL
        private let options: SpecializationOptions
        private let loaded: InferenceFunction
        private var input: NDArray
        private var found: [String: [Float]] = [:]

        /// Load a file of a bundle.
        ///
        /// The first time the system specializes the file for this device, which takes seconds; it keeps the result.
        ///
        /// - Parameter accelerator: a name of `ComputeUnit`.
        init(_ bundle: ModelBundle, _ file: ModelFile, accelerator: String) throws {
            let unit = try ComputeUnit(named: accelerator)
            (spec, name, url, options) = (bundle.spec, file.path, bundle.url(of: file), unit.specialization)
            loaded = try Self.load(url, options, name)
            let shape = [1, 3, spec.input.height, spec.input.width]
            guard loaded.descriptor.inputNames == [Self.image],
                case .ndArray(let described)? = loaded.descriptor.inputDescriptor(of: Self.image),
                described.shape == shape, described.scalarType == .float32,
                Set(loaded.descriptor.outputNames) == Set(Self.outputs)
            else {
                throw MobileDetError(
                    "\(name) does not take an image of 1 x 3 x \(spec.input.height) x \(spec.input.width) and give "
                        + Self.outputs.joined(separator: ", "))
            }
            input = NDArray(shape: shape, scalarType: .float32)
            // Core AI does not tell which unit runs what; only the processor can be asked for alone
            execution = Execution(
                requested: unit.rawValue, actual: unit == .cpu ? "cpu" : "auto", delegatedShare: nil,
                threads: ProcessInfo.processInfo.activeProcessorCount)
        }

        private static func load(_ url: URL, _ options: SpecializationOptions, _ name: String) throws
            -> InferenceFunction
        {
            do {
                let function = try waiting {
                    try await AIModel(contentsOf: url, options: options).loadFunction(named: Self.function)
                }
                if let function { return function }
            } catch {
                throw MobileDetError("Core AI cannot load \(name): \(error.localizedDescription); export it again")
            }
            throw MobileDetError("\(name) has no function \(Self.function); export it again")
        }

        /// Colour by colour: red, then green, then blue.
        func setInput(_ image: RGBImage) throws {
            let (height, width) = (spec.input.height, spec.input.width)
            guard image.height == height, image.width == width else {
                throw MobileDetError("an input of \(image.height) x \(image.width) is not of the model's size")
            }
            let area = height * width
            var view = input.mutableView(as: Float.self)
            view.withUnsafeMutablePointer { target, _, _ in
                image.pixels.withUnsafeBufferPointer { pixels in
                    for colour in 0..<3 {
                        for pixel in 0..<area { target[colour * area + pixel] = Float(pixels[3 * pixel + colour]) }
                    }
                }
            }
        }

        func invoke() throws {
            do {
                found = try Self.run(loaded, input)
            } catch {
                throw MobileDetError("Core AI cannot run \(name): \(error.localizedDescription)")
            }
        }

        private static func run(_ function: InferenceFunction, _ input: NDArray) throws -> [String: [Float]] {
            try waiting {
                var outputs = try await function.run(inputs: [Self.image: input])
                var numbers: [String: [Float]] = [:]
                for name in Self.outputs {
                    guard let array = outputs.remove(name)?.ndArray,
                        let values = array.view(as: Float.self).contiguousElements
                    else { throw MobileDetError("no numbers as \(name)") }
                    numbers[name] = (0..<values.count).map { values[$0] }
                }
                return numbers
            }
        }

        func detections() throws -> [Detection] {
            func numbers(_ output: String) throws -> [Float] {
                guard let values = found[output] else { throw MobileDetError("\(name) has not been run") }
                return values
            }
            guard let count = try numbers("count").first else { throw MobileDetError("\(name) gives no count") }
            return try Decoding.graph(
                boxes: numbers("boxes"), classes: numbers("classes"), scores: numbers("scores"), count: count,
                classCount: spec.labels.count)
        }

        /// Load the file anew; iOS starts no process for it, so what the system keeps between loads is not measured.
        func coldStart(_ image: RGBImage) throws -> ColdStart {
            try setInput(image)
            let before = MemoryReading()
            let started = monotonicNs()
            let fresh = try Self.load(url, options, name)
            let ready = monotonicNs()
            _ = try Self.run(fresh, input)
            let finished = monotonicNs()
            let grown = MemoryReading().footprint.flatMap { now in before.footprint.map { max(0, now - $0) } }
            return ColdStart(loadNs: ready - started, firstInferNs: finished - ready, memoryBytes: grown)
        }
    }

    extension ComputeUnit {
        /// Core AI is told what it should prefer, and uses other units for what that does not take.
        @available(iOS 27.0, macOS 27.0, *)
        var specialization: SpecializationOptions {
            switch self {
            case .auto: .default
            case .cpu: .cpuOnly
            case .gpu: SpecializationOptions(preferredComputeUnitKind: .gpu)
            case .ane: SpecializationOptions(preferredComputeUnitKind: .neuralEngine)
            }
        }
    }
#endif
