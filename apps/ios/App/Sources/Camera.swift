import AVFoundation
import Combine
import MobileDetCore
import MobileDetKit
import UIKit

/// Detects objects in frames of the back camera; frames that arrive while the detector is busy are dropped.
final class Camera: NSObject, ObservableObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
    struct Frame: Sendable {
        let objects: [FoundObject]
        /// Size of the upright image, in pixels.
        let size: CGSize
        let milliseconds: Double
    }

    @MainActor @Published private(set) var frame: Frame?
    @MainActor @Published private(set) var problem = ""
    let session = AVCaptureSession()
    private let queue = DispatchQueue(label: "dev.mobiledet.camera", qos: .userInitiated)
    private var detector: Detector?  // used only on the queue
    private var isReady = false

    /// Request permission if necessary, and start the camera.
    @MainActor
    func start(_ detector: Detector?) async {
        guard await AVCaptureDevice.requestAccess(for: .video) else {
            problem = "Access to the camera is denied; allow it in Settings, MobileDet."
            return
        }
        queue.async { [self] in
            self.detector = detector
            do {
                if !isReady { try configure() }
                if !session.isRunning { session.startRunning() }
            } catch {
                let message = error.localizedDescription
                Task { @MainActor in self.problem = message }
            }
        }
    }

    func stop() {
        queue.async { [self] in
            if session.isRunning { session.stopRunning() }
        }
    }

    private func configure() throws {
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back) else {
            throw MobileDetError("this device has no camera")
        }
        session.beginConfiguration()
        defer { session.commitConfiguration() }
        session.sessionPreset = .vga640x480  // more than the model's input
        let input = try AVCaptureDeviceInput(device: device)
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        guard session.canAddInput(input), session.canAddOutput(output) else {
            throw MobileDetError("the camera cannot be used")
        }
        session.addInput(input)
        session.addOutput(output)
        // the screen is in portrait orientation, so the frames are, too
        if let connection = output.connection(with: .video), connection.isVideoRotationAngleSupported(90) {
            connection.videoRotationAngle = 90
        }
        isReady = true
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput sample: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        guard let detector, let buffer = CMSampleBufferGetImageBuffer(sample) else { return }
        let size = CGSize(width: CVPixelBufferGetWidth(buffer), height: CVPixelBufferGetHeight(buffer))
        let started = monotonicNs()
        do {
            let objects = try detector.detect(buffer)
            let frame = Frame(objects: objects, size: size, milliseconds: Double(monotonicNs() - started) / 1e6)
            Task { @MainActor in self.frame = frame }
        } catch {
            let message = error.localizedDescription
            Task { @MainActor in self.problem = message }
        }
    }
}
