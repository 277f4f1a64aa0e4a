/// What runs model files on a device; `MobileDetKit` has the one for Core ML and Core AI.
public protocol DetectorRuntime: Sendable {
    /// What the device is.
    var info: DeviceInfo { get }
    /// What the device is while it runs a file, with what runs it.
    func info(running file: ModelFile) -> DeviceInfo
    /// That a session may ask for, `auto` among them.
    var accelerators: [String] { get }

    /// How the device is now.
    func state() -> DeviceState

    /// Decode a JPEG or PNG file to RGB, without colour management.
    ///
    /// - Parameter applyOrientation: turn the picture as its EXIF tag says.
    /// - Throws: `MobileDetError` with the reason when it cannot be decoded.
    func decode(_ file: [UInt8], applyOrientation: Bool) throws -> RGBImage

    /// Load a model file of a bundle.
    ///
    /// - Parameters:
    ///   - accelerator: one of `accelerators`; `auto` takes the best that works.
    ///   - threads: of the processor; 0 takes every core.
    /// - Throws: `MobileDetError` when the accelerator is unknown or the file cannot be run.
    func load(
        _ bundle: ModelBundle, _ file: ModelFile, accelerator: String, threads: Int
    ) throws -> any LoadedDetector
}

extension DetectorRuntime {
    public func info(running file: ModelFile) -> DeviceInfo { info }
}

/// A model file in memory. One thread at a time uses it.
public protocol LoadedDetector: AnyObject, Sendable {
    var execution: Execution { get }

    /// Copy an image of the model's size into the input.
    func setInput(_ image: RGBImage) throws

    /// Run the file on the input.
    ///
    /// - Throws: `MobileDetError` when the runtime fails; `Interruption` when its accelerator has gone.
    func invoke() throws

    /// What the last run found, boxes as fractions of the input.
    ///
    /// - Throws: `MobileDetError` when the outputs cannot be.
    func detections() throws -> [Detection]

    /// Load the file anew and run it once on an image, as close to a fresh process as the system allows.
    func coldStart(_ image: RGBImage) throws -> ColdStart
}

/// Why what runs now is not what it claims to be; the raw value is the protocol's code.
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
