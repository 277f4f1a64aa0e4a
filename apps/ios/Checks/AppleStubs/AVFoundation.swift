@_exported import CoreVideo
@_exported import UIKit

public struct AVMediaType: Sendable { public static let video = AVMediaType() }

public final class AVCaptureDevice {
    public struct DeviceType: Sendable { public static let builtInWideAngleCamera = DeviceType() }
    public enum Position { case back, front }
    public static func requestAccess(for: AVMediaType) async -> Bool { true }
    public static func `default`(_ t: DeviceType, for: AVMediaType?, position: Position) -> AVCaptureDevice? { nil }
}

open class AVCaptureInput {}

public final class AVCaptureDeviceInput: AVCaptureInput { public init(device: AVCaptureDevice) throws {} }

open class AVCaptureOutput { public func connection(with: AVMediaType) -> AVCaptureConnection? { nil } }

public final class AVCaptureConnection {
    public func isVideoRotationAngleSupported(_ a: CGFloat) -> Bool { true }

    public var videoRotationAngle: CGFloat = 0
}

public final class CMSampleBuffer {}

public func CMSampleBufferGetImageBuffer(_ b: CMSampleBuffer) -> CVPixelBuffer? { nil }

public protocol AVCaptureVideoDataOutputSampleBufferDelegate: AnyObject {
    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection)
}

public final class AVCaptureVideoDataOutput: AVCaptureOutput {
    public override init() {}

    public var videoSettings: [String: Any] = [:]
    public var alwaysDiscardsLateVideoFrames = true
    public func setSampleBufferDelegate(_ d: (any AVCaptureVideoDataOutputSampleBufferDelegate)?, queue: DispatchQueue?)
    {}
}

public final class AVCaptureSession: @unchecked Sendable {
    public init() {}

    public struct Preset { public static let vga640x480 = Preset() }
    public var sessionPreset = Preset()

    public var isRunning = false

    public func startRunning() {}
    public func stopRunning() {}

    public func beginConfiguration() {}

    public func commitConfiguration() {}
    public func canAddInput(_ i: AVCaptureInput) -> Bool { true }
    public func canAddOutput(_ i: AVCaptureOutput) -> Bool { true }

    public func addInput(_ i: AVCaptureInput) {}
    public func addOutput(_ i: AVCaptureOutput) {}
}

public struct AVLayerVideoGravity { public static let resizeAspect = AVLayerVideoGravity() }

public final class AVCaptureVideoPreviewLayer: CALayer {
    public var session: AVCaptureSession?

    public var videoGravity = AVLayerVideoGravity()
}
