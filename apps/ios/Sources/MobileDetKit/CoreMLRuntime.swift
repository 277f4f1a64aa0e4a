#if canImport(CoreML)
    import Foundation
    import MobileDetCore

    /// Core ML, and Core AI where the system offers it, on this device, for the agent.
    public struct CoreMLRuntime: DetectorRuntime {
        public init() {}

        public var info: DeviceInfo { DeviceReadings.info() }
        public func info(running file: ModelFile) -> DeviceInfo { DeviceReadings.info(runtime: file.format) }
        public var accelerators: [String] { ComputeUnit.allCases.map(\.rawValue) }

        public func state() -> DeviceState { DeviceReadings.state() }

        public func decode(_ file: [UInt8], applyOrientation: Bool) throws -> RGBImage {
            let picture = try RGBImage(file: Data(file))
            return applyOrientation ? picture.turned(Orientation(ofFile: file)) : picture
        }

        public func load(
            _ bundle: ModelBundle, _ file: ModelFile, accelerator: String, threads: Int
        ) throws -> any LoadedDetector {
            try ModelFormat.load(bundle, file, accelerator: accelerator)
        }
    }
#endif
