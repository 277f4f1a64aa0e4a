@_exported import CoreVideo
@_exported import UIKit

// Nothing here is Sendable: some of these classes are in some SDKs, and code that has to compile with all of them may not
// rely on it.

public struct AVMediaType: Sendable { public static let video = AVMediaType() }

public class AVCaptureDevice: NSObject {
    public struct DeviceType: Sendable {
        public static let builtInWideAngleCamera = DeviceType(), builtInUltraWideCamera = DeviceType()
        public static let builtInTelephotoCamera = DeviceType(), external = DeviceType()
    }

    public enum Position: Int, Sendable { case unspecified, back, front }

    public enum TorchMode: Int, Sendable { case off, on, auto }

    public class DiscoverySession: NSObject {
        public convenience init(deviceTypes: [DeviceType], mediaType: AVMediaType?, position: Position) { fatalError() }
        public var devices: [AVCaptureDevice] { fatalError() }
    }

    /// From iOS 17 on; the angles are observed through key-value observation, on the main queue.
    public final class RotationCoordinator: NSObject, KeyValueObserved {
        public init(device: AVCaptureDevice, previewLayer: CALayer?) { fatalError() }
        public var videoRotationAngleForHorizonLevelPreview: CGFloat { fatalError() }
        public var videoRotationAngleForHorizonLevelCapture: CGFloat { fatalError() }
    }

    public class func requestAccess(for: AVMediaType) async -> Bool { fatalError() }
    public init?(uniqueID: String) { fatalError() }
    public var uniqueID: String { fatalError() }
    public var localizedName: String { fatalError() }
    public var position: Position { fatalError() }
    public func lockForConfiguration() throws {}
    public func unlockForConfiguration() {}
    public var hasTorch: Bool { fatalError() }
    public var isTorchAvailable: Bool { fatalError() }
    public func isTorchModeSupported(_ mode: TorchMode) -> Bool { fatalError() }
    public var torchMode: TorchMode {
        get { fatalError() }
        set {}
    }
    public var videoZoomFactor: CGFloat {
        get { fatalError() }
        set {}
    }
    public var minAvailableVideoZoomFactor: CGFloat { fatalError() }
    public var maxAvailableVideoZoomFactor: CGFloat { fatalError() }
}

open class AVCaptureInput: NSObject {}

public final class AVCaptureDeviceInput: AVCaptureInput {
    public init(device: AVCaptureDevice) throws { fatalError() }
    public var device: AVCaptureDevice { fatalError() }
}

open class AVCaptureOutput: NSObject {
    public func connection(with: AVMediaType) -> AVCaptureConnection? { fatalError() }
}

public final class AVCaptureConnection: NSObject {
    public func isVideoRotationAngleSupported(_ a: CGFloat) -> Bool { fatalError() }
    public var videoRotationAngle: CGFloat {
        get { fatalError() }
        set {}
    }
    public var isVideoMirroringSupported: Bool { fatalError() }
    public var isVideoMirrored: Bool {
        get { fatalError() }
        set {}
    }
    public var automaticallyAdjustsVideoMirroring: Bool {
        get { fatalError() }
        set {}
    }
}

public final class CMSampleBuffer {}

public func CMSampleBufferGetImageBuffer(_ b: CMSampleBuffer) -> CVPixelBuffer? { fatalError() }

public protocol AVCaptureVideoDataOutputSampleBufferDelegate: NSObjectProtocol {
    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection)
}

public final class AVCaptureVideoDataOutput: AVCaptureOutput {
    public var videoSettings: [String: Any]! {
        get { fatalError() }
        set {}
    }
    public var alwaysDiscardsLateVideoFrames: Bool {
        get { fatalError() }
        set {}
    }
    public func setSampleBufferDelegate(_ d: (any AVCaptureVideoDataOutputSampleBufferDelegate)?, queue: DispatchQueue?)
    {}
}

public class AVCaptureSession: NSObject {
    public struct Preset: Sendable { public static let vga640x480 = Preset(), high = Preset() }

    public enum InterruptionReason: Int, Sendable {
        case videoDeviceNotAvailableInBackground = 1
        case audioDeviceInUseByAnotherClient, videoDeviceInUseByAnotherClient
        case videoDeviceNotAvailableWithMultipleForegroundApps, videoDeviceNotAvailableDueToSystemPressure
    }

    public class var wasInterruptedNotification: NSNotification.Name { fatalError() }
    public class var interruptionEndedNotification: NSNotification.Name { fatalError() }
    public class var runtimeErrorNotification: NSNotification.Name { fatalError() }

    public func canSetSessionPreset(_ p: Preset) -> Bool { fatalError() }
    public var sessionPreset: Preset {
        get { fatalError() }
        set {}
    }
    public var isRunning: Bool { fatalError() }
    public var isMultitaskingCameraAccessSupported: Bool { fatalError() }
    public var isMultitaskingCameraAccessEnabled: Bool {
        get { fatalError() }
        set {}
    }
    public func startRunning() {}
    public func stopRunning() {}
    public func beginConfiguration() {}
    public func commitConfiguration() {}
    public func canAddInput(_ i: AVCaptureInput) -> Bool { fatalError() }
    public func canAddOutput(_ i: AVCaptureOutput) -> Bool { fatalError() }
    public func addInput(_ i: AVCaptureInput) {}
    public func removeInput(_ i: AVCaptureInput) {}
    public func addOutput(_ i: AVCaptureOutput) {}
}

public let AVCaptureSessionInterruptionReasonKey: String = "InterruptionReason"
public let AVCaptureSessionErrorKey: String = "Error"

public struct AVError: Error, Sendable {
    public enum Code: Int, Sendable { case unknown, mediaServicesWereReset }
    public var code: Code { fatalError() }
}

public struct AVLayerVideoGravity: Sendable {
    public static let resizeAspect = AVLayerVideoGravity(), resizeAspectFill = AVLayerVideoGravity()
}

public final class AVCaptureVideoPreviewLayer: CALayer {
    public var session: AVCaptureSession? {
        get { fatalError() }
        set {}
    }
    public var connection: AVCaptureConnection? { fatalError() }
    public var videoGravity: AVLayerVideoGravity {
        get { fatalError() }
        set {}
    }
}
