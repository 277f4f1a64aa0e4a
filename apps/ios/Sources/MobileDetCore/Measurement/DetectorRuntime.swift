/// Runs model files on a device; `MobileDetKit` implements it for Core ML and Core AI.
public protocol DetectorRuntime: Sendable {
    /// Description of the device.
    var info: DeviceInfo { get }
    /// Description of the device with the runtime that executes this file.
    func info(running file: ModelFile) -> DeviceInfo
    /// Accelerators that a session may request, including `auto`.
    var accelerators: [String] { get }

    /// The current state of the device.
    func state() -> DeviceState

    /// Decode a JPEG or PNG file to RGB, without colour management.
    ///
    /// - Parameter applyOrientation: turn the image by its EXIF orientation.
    /// - Throws: `MobileDetError` with the reason if it cannot be decoded.
    func decode(_ file: [UInt8], applyOrientation: Bool) throws -> RGBImage

    /// Load a model file of a bundle.
    ///
    /// - Parameters:
    ///   - accelerator: one of `accelerators`; `auto` uses the best one that works.
    ///   - threads: number of CPU threads; 0 uses every core.
    /// - Throws: `MobileDetError` if the accelerator is unknown or the file cannot be run.
    func load(
        _ bundle: ModelBundle, _ file: ModelFile, accelerator: String, threads: Int
    ) throws -> any LoadedDetector
}

extension DetectorRuntime {
    public func info(running file: ModelFile) -> DeviceInfo { info }
}

/// A model file in memory. Not thread-safe.
public protocol LoadedDetector: AnyObject, Sendable {
    var execution: Execution { get }

    /// Copy an image of the model's size into the input.
    func setInput(_ image: RGBImage) throws

    /// Run the file on the input.
    ///
    /// - Throws: `MobileDetError` if the runtime fails; `Interruption` if its accelerator was lost.
    func invoke() throws

    /// Detections of the last run, boxes as fractions of the input.
    ///
    /// - Throws: `MobileDetError` if the outputs are invalid.
    func detections() throws -> [Detection]

    /// Load the file again and run it once on an image, as close to a fresh process as the system allows.
    func coldStart(_ image: RGBImage) throws -> ColdStart
}

/// Why running work is no longer valid; the raw value is the code of the protocol.
public enum Interruption: String, Error, Sendable {
    case background
    case acceleratorLost = "accelerator_lost"

    var message: String {
        switch self {
        case .background: "the app is not in the foreground, where the system may slow it down"
        case .acceleratorLost: "the accelerator was lost while the model ran on it"
        }
    }
}
