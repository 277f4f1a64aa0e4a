#if canImport(CoreML) && canImport(SwiftUI) && canImport(UIKit) && !os(tvOS) && !os(visionOS)
    import AVFoundation
    import MobileDetCore
    import SwiftUI

    /// The image of the camera with boxes, and controls for lens, zoom and torch.
    ///
    /// It asks for access to the camera, which needs the key NSCameraUsageDescription in the app's Info.plist, and follows the
    /// rotation of the device. The camera runs while the view is on the screen and the app is not in the background.
    public struct DetectorView: View {
        private enum Source: Equatable {
            case detector(Detector), bundle(URL)

            static func == (a: Source, b: Source) -> Bool {
                switch (a, b) {
                case (.detector(let a), .detector(let b)): a === b
                case (.bundle(let a), .bundle(let b)): a == b
                default: false
                }
            }
        }

        /// What starts the camera again when it changes.
        private struct Key: Equatable {
            let source: Source
            let tracks: Bool
            let minScore: Float?
            let isInBackground: Bool
            let attempt: Int
        }

        private static let opening = "Opening the model; the system compiles it the first time ..."
        private let source: Source
        private let tracks: Bool
        private let minScore: Float?
        private let contentMode: ContentMode
        private let showsControls: Bool
        private let onFrame: (@MainActor (CameraFrame) -> Void)?
        @StateObject private var camera: DetectorCamera
        @State private var frame: CameraFrame?
        @State private var opened: (url: URL, detector: Detector)?
        @State private var isOpening = false
        @State private var problem: Problem?
        @State private var attempt = 0
        @State private var zoomBefore: Double?
        @Environment(\.scenePhase) private var phase
        @Environment(\.openURL) private var openURL

        private struct Problem {
            let line: String
            let isDenied: Bool
        }

        /// - Parameters:
        ///   - tracks: whether objects are followed from frame to frame; their ids are shown.
        ///   - minScore: as in `Detector.detect`.
        ///   - contentMode: whether the image is shown whole, or fills the view and is cropped.
        ///   - preset: as in `DetectorCamera`; read when the view appears.
        ///   - onFrame: gets each frame that is shown, on the main thread.
        public init(
            _ detector: Detector, tracks: Bool = false, minScore: Float? = nil, contentMode: ContentMode = .fit,
            showsControls: Bool = true, preset: AVCaptureSession.Preset = .vga640x480,
            onFrame: (@MainActor (CameraFrame) -> Void)? = nil
        ) {
            self.init(.detector(detector), tracks, minScore, contentMode, showsControls, preset, onFrame)
        }

        /// Open a bundle, then show its detections.
        public init(
            _ bundle: URL, tracks: Bool = false, minScore: Float? = nil, contentMode: ContentMode = .fit,
            showsControls: Bool = true, preset: AVCaptureSession.Preset = .vga640x480,
            onFrame: (@MainActor (CameraFrame) -> Void)? = nil
        ) {
            self.init(.bundle(bundle), tracks, minScore, contentMode, showsControls, preset, onFrame)
        }

        private init(
            _ source: Source, _ tracks: Bool, _ minScore: Float?, _ contentMode: ContentMode, _ showsControls: Bool,
            _ preset: AVCaptureSession.Preset, _ onFrame: (@MainActor (CameraFrame) -> Void)?
        ) {
            _camera = StateObject(wrappedValue: DetectorCamera(preset: preset))
            (self.source, self.tracks, self.minScore) = (source, tracks, minScore)
            (self.contentMode, self.showsControls, self.onFrame) = (contentMode, showsControls, onFrame)
        }

        public var body: some View {
            ZStack(alignment: .bottom) {
                CameraPreview(camera: camera, contentMode: contentMode)
                    .overlay { if let frame, !camera.isInterrupted { boxes(frame) } }
                    .clipped()
                    .gesture(pinch)
                if let problem {
                    unavailable(problem)
                } else {
                    VStack {
                        if let line {
                            Text(line).font(.footnote).padding(.all, 8).background(.ultraThinMaterial)
                        }
                        if showsControls, camera.lens != nil { CameraControls(camera: camera) }
                    }
                    .padding(.all, 8)
                }
            }
            .task(
                id: Key(
                    source: source, tracks: tracks, minScore: minScore, isInBackground: phase == .background,
                    attempt: attempt)
            ) { await run() }
        }

        /// What the user should know, one thing at a time.
        private var line: String? {
            if isOpening { return Self.opening }
            if let notice = camera.notice { return notice }
            return frame.flatMap { $0.notice.isEmpty ? nil : $0.notice }
        }

        private func boxes(_ frame: CameraFrame) -> BoxesView {
            // they differ where the screen's orientation is locked: the detector sees an upright image all the same
            let turn = Orientation(clockwise: camera.previewAngle - frame.rotationAngle)
            return BoxesView(
                objects: frame.objects, size: frame.size, turn: turn, isMirrored: camera.lens?.isFront == true,
                contentMode: contentMode)
        }

        private var pinch: some Gesture {
            MagnifyGesture()
                .onChanged { value in
                    let before = zoomBefore ?? camera.zoom
                    zoomBefore = before
                    camera.zoom = before * Double(value.magnification)
                }
                .onEnded { _ in zoomBefore = nil }
        }

        private func unavailable(_ problem: Problem) -> some View {
            ContentUnavailableView {
                Label("No camera image", systemImage: "video.slash")
            } description: {
                Text(problem.line)
            } actions: {
                if problem.isDenied {
                    Button("Settings") {
                        if let url = URL(string: UIApplication.openSettingsURLString) { openURL(url) }
                    }
                } else {
                    Button("Try again") { attempt += 1 }
                }
            }
            .background(.ultraThinMaterial)
        }

        private func run() async {
            guard phase != .background else { return }
            problem = nil
            do {
                let detector = try await open()
                let tracker = tracks ? detector.tracker(minScore: minScore) : nil
                for try await frame in camera.frames(detector, minScore: minScore, tracker: tracker) {
                    self.frame = frame
                    onFrame?(frame)
                }
            } catch is CancellationError {
                // another run has begun
            } catch {
                problem = Problem(line: error.localizedDescription, isDenied: error is CameraAccessDenied)
            }
            frame = nil
        }

        private func open() async throws -> Detector {
            switch source {
            case .detector(let detector): return detector
            case .bundle(let url):
                if let opened, opened.url == url { return opened.detector }
                isOpening = true
                defer { isOpening = false }
                let detector = try await Detector.open(url)
                opened = (url, detector)
                return detector
            }
        }
    }

    /// Lens, zoom and torch of a camera.
    private struct CameraControls: View {
        @ObservedObject var camera: DetectorCamera

        var body: some View {
            HStack {
                if camera.lenses.count > 1 {
                    Menu {
                        ForEach(camera.lenses, id: \.self) { lens in Button(lens.name) { camera.use(lens) } }
                    } label: {
                        Image(systemName: "arrow.triangle.2.circlepath.camera")
                    }
                    .accessibilityLabel("Lens")
                }
                if let range = camera.lens?.zoomRange, range.upperBound > range.lowerBound {
                    Slider(value: $camera.zoom, in: range).accessibilityLabel("Zoom")
                }
                if camera.lens?.hasTorch == true {
                    Button {
                        camera.setTorch(!camera.isTorchOn)
                    } label: {
                        Image(systemName: camera.isTorchOn ? "flashlight.on.fill" : "flashlight.off.fill")
                    }
                    .accessibilityLabel(camera.isTorchOn ? "Torch off" : "Torch on")
                }
            }
            .padding(.all, 8)
            .background(.ultraThinMaterial)
        }
    }
#endif
