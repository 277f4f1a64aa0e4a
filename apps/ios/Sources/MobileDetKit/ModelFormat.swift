#if canImport(CoreML)
    import Foundation
    import MobileDetCore

    /// The formats that this system runs.
    enum ModelFormat: String {
        case coreML = "coreml"
        case coreAI = "coreai"

        /// The best first: Core AI from iOS and macOS 27 on, Core ML everywhere.
        static var offered: [ModelFormat] {
            #if canImport(CoreAI)
                if #available(iOS 27.0, macOS 27.0, *) { return [.coreAI, .coreML] }
            #endif
            return [.coreML]
        }

        /// Load a file of a bundle in the framework of its format.
        ///
        /// - Throws: `MobileDetError` when this system does not run it.
        static func load(
            _ bundle: ModelBundle, _ file: ModelFile, accelerator: String
        ) throws -> any LoadedDetector {
            switch ModelFormat(rawValue: file.format) {
            case .coreML:
                return try CoreMLDetector(bundle, file, accelerator: accelerator)
            case .coreAI:
                #if canImport(CoreAI)
                    if #available(iOS 27.0, macOS 27.0, *) {
                        return try CoreAIDetector(bundle, file, accelerator: accelerator)
                    }
                #endif
                throw MobileDetError("\(file.path) is a Core AI file, which needs iOS 27 or macOS 27")
            case nil:
                throw MobileDetError("\(file.path) is \(file.format); Apple's systems run Core ML and Core AI files")
            }
        }

        /// Load the best file of a bundle that this system runs and that finds what the bundle says.
        ///
        /// Core AI is new, and known to compute some networks wrongly on some units without an error. So a file of it has
        /// to pass the golden gate, here on the device; if it does not, and the caller has named no file, the next format
        /// is taken.
        ///
        /// - Parameter name: as in `ModelBundle.file`.
        static func loadBest(_ bundle: ModelBundle, _ name: String, accelerator: String) throws
            -> (any LoadedDetector, ModelFile)
        {
            var formats = offered.map(\.rawValue)
            while true {
                let file = try bundle.file(name, formats: formats)
                do {
                    let detector = try load(bundle, file, accelerator: accelerator)
                    if file.format == coreAI.rawValue { try check(detector, bundle, file) }
                    return (detector, file)
                } catch {
                    formats.removeAll { $0 == file.format }
                    let isNamed = file.path == name
                    let next = isNamed || formats.isEmpty ? nil : try? bundle.file(name, formats: formats)
                    guard let next, formats.contains(next.format) else { throw error }
                }
            }
        }

        static func check(_ detector: any LoadedDetector, _ bundle: ModelBundle, _ file: ModelFile) throws {
            let golden = try bundle.golden(file)
            let gate = GoldenGate(bundle.spec, golden, accelerator: detector.execution.actual)
            _ = try gate.replay(golden.cases) { golden in
                try detector.setInput(golden.input(bundle.spec.input) { try RGBImage(file: Data($0)) })
                try detector.invoke()
                return try detector.detections()
            }
        }
    }
#endif
