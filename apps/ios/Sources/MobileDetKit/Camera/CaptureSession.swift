#if canImport(CoreML) && canImport(AVFoundation) && canImport(UIKit) && !os(tvOS) && !os(visionOS)
    import AVFoundation
    import MobileDetCore

    /// Detects objects in the frames of a capture session; frames that arrive meanwhile are dropped.
    ///
    /// Two serial queues guard its state: `control` configures, starts and stops the session, which takes long; `frames` gets
    /// the frames. Neither is the main thread's.
    final class CaptureSession: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
        let session = AVCaptureSession()
        private static let restSeconds = 0.3
        private let preset: AVCaptureSession.Preset
        private let control = DispatchQueue(label: "dev.mobiledet.camera.control", qos: .userInitiated)
        private let frames = DispatchQueue(label: "dev.mobiledet.camera.frames", qos: .userInitiated)
        private let output = AVCaptureVideoDataOutput()
        private var input: AVCaptureDeviceInput?  // on `control`
        private var hasOutput = false  // on `control`
        private var run: DetectionRun?  // on `frames`
        private var angle: Double?  // on `frames`; unknown until the system reports it for the lens

        init(_ preset: AVCaptureSession.Preset) {
            self.preset = preset
        }

        /// Start a run with a lens, instead of the running one if there is one.
        ///
        /// - Parameter lens: its id; nil chooses the one in use, or the first.
        /// - Returns: the lens in use, its zoom factor, and all lenses.
        /// - Throws: `MobileDetError` if there is no camera or it cannot be used; `CancellationError` if the run was stopped.
        func start(_ run: DetectionRun, lens: String?) async throws -> (lens: Lens, zoom: Double, all: [Lens]) {
            try await onControl { [self] in
                if run.isStopped { throw CancellationError() }
                let devices = Lens.available()
                let wanted = lens ?? input?.device.uniqueID
                guard let device = devices.first(where: { $0.uniqueID == wanted }) ?? devices.first else {
                    throw MobileDetError("this device has no camera")
                }
                if input?.device.uniqueID != device.uniqueID { try use(device) }
                frames.sync { self.run = run }
                if !session.isRunning { session.startRunning() }
                return (Lens(device), Double(device.videoZoomFactor), devices.map(Lens.init))
            }
        }

        /// Stop a run; and the session, unless another run begins within this time, which then does not have to wait for it.
        func stop(_ run: DetectionRun) {
            control.async { [self] in
                run.isStopped = true
                frames.sync { if self.run === run { self.run = nil } }
                control.asyncAfter(deadline: .now() + Self.restSeconds) { [self] in
                    if frames.sync(execute: { self.run == nil }), session.isRunning { session.stopRunning() }
                }
            }
        }

        /// Start the session again after the system reset its media services.
        func restart() {
            control.async { [self] in
                if frames.sync(execute: { self.run != nil }), !session.isRunning { session.startRunning() }
            }
        }

        /// Set the clockwise turn that makes frames upright, in degrees.
        func setAngle(_ degrees: Double) {
            frames.async { self.angle = degrees }
        }

        /// - Throws: the system's error; `MobileDetError` if the torch is not available now, for example because it is hot.
        func setTorch(_ isOn: Bool) async throws {
            try await configure { device in
                guard !isOn || (device.isTorchAvailable && device.isTorchModeSupported(.on)) else {
                    throw MobileDetError("the torch is not available now")
                }
                device.torchMode = isOn ? .on : .off
            }
        }

        func setZoom(_ factor: Double) async throws {
            try await configure { $0.videoZoomFactor = CGFloat(factor) }
        }

        private func configure(_ change: @escaping @Sendable (AVCaptureDevice) throws -> Void) async throws {
            try await onControl { [self] in
                guard let device = input?.device else { return }
                try device.lockForConfiguration()
                defer { device.unlockForConfiguration() }
                try change(device)
            }
        }

        private func onControl<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
            try await withCheckedThrowingContinuation { continuation in
                control.async { continuation.resume(with: Result { try work() }) }
            }
        }

        /// Take frames from another device; the previous one stays if that fails.
        private func use(_ device: AVCaptureDevice) throws {
            let next = try AVCaptureDeviceInput(device: device)
            session.beginConfiguration()
            defer { session.commitConfiguration() }
            let previous = input
            if let previous { session.removeInput(previous) }
            do {
                guard session.canAddInput(next) else { throw MobileDetError("\(device.localizedName) cannot be used") }
                session.addInput(next)
                input = next
                if !hasOutput { try addOutput() }
            } catch {
                if input === next { session.removeInput(next) }
                if let previous { session.addInput(previous) }
                input = previous
                throw error
            }
            session.sessionPreset = session.canSetSessionPreset(preset) ? preset : .high
            #if !targetEnvironment(macCatalyst)
                // beside other apps on an iPad, where the system allows it
                session.isMultitaskingCameraAccessEnabled = session.isMultitaskingCameraAccessSupported
            #endif
            frames.async { self.angle = nil }
        }

        private func addOutput() throws {
            // what cameras give; anything else costs the system a conversion
            let format = kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
            output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: format]
            output.alwaysDiscardsLateVideoFrames = true
            output.setSampleBufferDelegate(self, queue: frames)
            guard session.canAddOutput(output) else { throw MobileDetError("the camera gives no frames") }
            session.addOutput(output)
            hasOutput = true
        }

        func captureOutput(
            _ output: AVCaptureOutput, didOutput sample: CMSampleBuffer, from connection: AVCaptureConnection
        ) {
            guard let run, let angle, let buffer = CMSampleBufferGetImageBuffer(sample) else { return }
            run.detect(buffer, angle)
        }
    }

    /// The detector, the tracker, the pacer and the stream of a run. After its start only the queue of the frames uses it, except for
    /// `isStopped`, which belongs to the queue of the session.
    final class DetectionRun: @unchecked Sendable {
        typealias Continuation = AsyncThrowingStream<CameraFrame, any Error>.Continuation

        var isStopped = false
        private let detector: Detector
        private let minScore: Float?
        private var tracker: Tracker?
        private var pacer: FramePacer
        private var hasFailed = false
        private let continuation: Continuation

        init(
            _ detector: Detector, minScore: Float?, tracker: Tracker?, pacer: FramePacer, _ continuation: Continuation
        ) {
            (self.detector, self.minScore, self.tracker) = (detector, minScore, tracker)
            (self.pacer, self.continuation) = (pacer, continuation)
        }

        /// Detect objects in a frame, if it is due, and pass them on; an error ends the stream.
        func detect(_ buffer: CVPixelBuffer, _ angle: Double) {
            if hasFailed || pacer.decide(monotonicNs(), thermal: .current) != .detect { return }
            defer { pacer.finish() }
            let orientation = Orientation(clockwise: angle)
            let (height, width) = (CVPixelBufferGetHeight(buffer), CVPixelBufferGetWidth(buffer))
            let started = monotonicNs()
            do {
                var objects = try detector.detect(
                    buffer, orientation: orientation, minScore: tracker == nil ? minScore : 0)
                var tracked: Tracked?
                if tracker != nil, let result = tracker?.update(objects) { (objects, tracked) = result }
                continuation.yield(
                    CameraFrame(
                        objects: objects, tracked: tracked,
                        size: orientation.swapsSides
                            ? CGSize(width: height, height: width) : CGSize(width: width, height: height),
                        rotationAngle: angle, milliseconds: Double(monotonicNs() - started) / 1e6,
                        notice: pacer.notice))
            } catch {
                hasFailed = true
                fail(error)
            }
        }

        func fail(_ error: any Error) {
            continuation.finish(throwing: error)
        }
    }
#endif
