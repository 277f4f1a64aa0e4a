#if canImport(CoreML) && canImport(AVFoundation) && canImport(UIKit) && !os(tvOS) && !os(visionOS)
    import AVFoundation
    import Combine
    import MobileDetCore

    /// The camera of this device with a detector on its frames, in all orientations of the device.
    ///
    ///     let camera = DetectorCamera()
    ///     for try await frame in camera.frames(detector) { print(frame.objects.map(\.label)) }
    ///
    /// `DetectorView` shows it.
    @MainActor
    public final class DetectorCamera: ObservableObject {
        @Published private var interruption: String?
        @Published private var failedControl: String?
        /// The lenses of the device; empty before the first frame.
        @Published public private(set) var lenses: [Lens] = []
        /// The lens in use.
        @Published public private(set) var lens: Lens?
        @Published public private(set) var isTorchOn = false
        @Published private var zoomFactor = 1.0
        /// The clockwise turn of the sensor's image on the preview, in degrees.
        @Published private(set) var previewAngle = 0.0
        private let capture: CaptureSession
        private var run: DetectionRun?
        private weak var preview: AVCaptureVideoPreviewLayer?
        private var rotation: (coordinator: AVCaptureDevice.RotationCoordinator, observers: [NSKeyValueObservation])?
        private var interruptions: NotificationObservers?

        /// - Parameter preset: size of the frames. The default suits models of up to 640 pixels; larger frames take longer to
        ///   resize, and make the preview sharper.
        public init(preset: AVCaptureSession.Preset = .vga640x480) {
            capture = CaptureSession(preset)
            interruptions = NotificationObservers(of: capture.session, tell: self)
        }

        /// Start the camera and detect objects in its frames, off the main thread.
        ///
        /// The first use asks the user for access. While an interruption lasts no frames come, and `notice` tells why. One run
        /// at a time: another call ends the previous stream. The camera stops when the stream is no longer iterated.
        ///
        /// - Parameters:
        ///   - minScore: as in `Detector.detect`.
        ///   - tracker: such as `detector.tracker()`; gives objects ids that stay the same from frame to frame.
        ///   - pacer: limits the frames per second, by default to 30, and to fewer when the device is warm.
        /// - Returns: the newest frame at each step. It throws `CameraAccessDenied`, `MobileDetError`, and errors of the system.
        public func frames(
            _ detector: Detector, minScore: Float? = nil, tracker: Tracker? = nil, pacer: FramePacer = FramePacer()
        ) -> AsyncThrowingStream<CameraFrame, any Error> {
            AsyncThrowingStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
                let run = DetectionRun(detector, minScore: minScore, tracker: tracker, pacer: pacer, continuation)
                let start = Task { @MainActor in
                    do {
                        try await requestAccess()
                        try Task.checkCancellation()
                        try await self.open(run)
                    } catch {
                        run.fail(error)
                    }
                }
                // it keeps the camera alive for as long as somebody iterates
                continuation.onTermination = { [self] _ in
                    start.cancel()
                    capture.stop(run)
                }
            }
        }

        /// Use another lens; the torch goes off.
        public func use(_ lens: Lens) {
            guard let run, lens.id != self.lens?.id else { return }
            attempt { try await self.open(run, lens.id) }
        }

        public func setTorch(_ isOn: Bool) {
            attempt {
                try await self.capture.setTorch(isOn)
                self.isTorchOn = isOn
            }
        }

        /// Why no frames come at the moment, or why a control did not work: a line for the user; nil if all is well.
        public var notice: String? { interruption ?? failedControl }

        /// Whether no frames come at the moment, such as while another app uses the camera.
        public var isInterrupted: Bool { interruption != nil }

        /// The zoom factor, within the range of the lens.
        public var zoom: Double {
            get { zoomFactor }
            set {
                guard let range = lens?.zoomRange else { return }
                let factor = min(max(newValue, range.lowerBound), range.upperBound)
                zoomFactor = factor
                attempt { try await self.capture.setZoom(factor) }
            }
        }

        var session: AVCaptureSession { capture.session }

        /// Show the frames in a layer.
        func attach(_ layer: AVCaptureVideoPreviewLayer) {
            layer.session = capture.session
            preview = layer
            observeRotation()
        }

        private func open(_ run: DetectionRun, _ lens: String? = nil) async throws {
            if self.run !== run { self.run?.fail(CancellationError()) }
            self.run = run
            let opened = try await capture.start(run, lens: lens)
            (self.lens, lenses, zoomFactor) = (opened.lens, opened.all, opened.zoom)
            (isTorchOn, interruption, failedControl) = (false, nil, nil)
            observeRotation()
        }

        /// Do what may fail without ending the stream.
        private func attempt(_ work: @escaping @MainActor () async throws -> Void) {
            Task {
                do {
                    try await work()
                    failedControl = nil
                } catch {
                    failedControl = error.localizedDescription
                }
            }
        }

        /// Follow the rotation of the device, which the system knows for each lens and the layer that shows it.
        private func observeRotation() {
            guard let lens, let device = AVCaptureDevice(uniqueID: lens.id) else { return }
            let coordinator = AVCaptureDevice.RotationCoordinator(device: device, previewLayer: preview)
            // the system reports changes on the main thread
            let turned: @Sendable () -> Void = { [weak self] in MainActor.assumeIsolated { self?.applyRotation() } }
            rotation = (
                coordinator,
                [
                    coordinator.observe(\.videoRotationAngleForHorizonLevelCapture) { _, _ in turned() },
                    coordinator.observe(\.videoRotationAngleForHorizonLevelPreview) { _, _ in turned() },
                ]
            )
            applyRotation()
        }

        private func applyRotation() {
            guard let coordinator = rotation?.coordinator else { return }
            capture.setAngle(Double(coordinator.videoRotationAngleForHorizonLevelCapture))
            let angle = coordinator.videoRotationAngleForHorizonLevelPreview
            guard let connection = preview?.connection else { return }
            if connection.isVideoRotationAngleSupported(angle) { connection.videoRotationAngle = angle }
            previewAngle = Double(connection.videoRotationAngle)
            if connection.isVideoMirroringSupported {
                connection.automaticallyAdjustsVideoMirroring = false
                connection.isVideoMirrored = lens?.isFront == true
            }
        }

        /// React to what the system reports of the session.
        func sessionChanged(_ change: SessionChange) {
            switch change {
            case .interrupted(let line): interruption = line
            case .resumed: interruption = nil
            case .reset: capture.restart()
            case .failed(let error): run?.fail(error)
            }
        }
    }

    /// The user has not allowed the app to use the camera.
    public struct CameraAccessDenied: LocalizedError {
        public var errorDescription: String? { "Access to the camera is denied; allow it in Settings." }
    }

    /// - Throws: `CameraAccessDenied`; `MobileDetError` for an app that does not say why it asks, which the system would end.
    private func requestAccess() async throws {
        guard Bundle.main.object(forInfoDictionaryKey: "NSCameraUsageDescription") != nil else {
            throw MobileDetError(
                "the app's Info.plist has no NSCameraUsageDescription: say there what the camera is for")
        }
        guard await AVCaptureDevice.requestAccess(for: .video) else { throw CameraAccessDenied() }
    }
#endif
