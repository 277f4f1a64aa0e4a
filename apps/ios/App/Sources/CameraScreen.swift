import AVFoundation
import MobileDetKit
import SwiftUI

/// The camera image with boxes.
struct CameraScreen: View {
    let isShown: Bool
    @EnvironmentObject private var models: Models
    @StateObject private var camera = Camera()
    @Environment(\.scenePhase) private var phase

    var body: some View {
        VStack {
            BundlePicker()
            ZStack {
                CameraPreview(session: camera.session)
                if let frame = camera.frame { BoxesView(objects: frame.objects, size: frame.size) }
            }
            Text(
                camera.problem.isEmpty
                    ? camera.frame.map { String(format: "%.1f ms", $0.milliseconds) } ?? "" : camera.problem
            )
            .font(.footnote.monospacedDigit()).padding(.bottom)
        }
        .task(id: Key(isOn: isShown && phase == .active, spec: models.detector.map(ObjectIdentifier.init))) {
            if isShown, phase == .active { await camera.start(models.detector) } else { camera.stop() }
        }
    }

    private struct Key: Equatable {
        let isOn: Bool
        let spec: ObjectIdentifier?
    }
}

/// The camera's preview, scaled to fit.
private struct CameraPreview: UIViewRepresentable {
    let session: AVCaptureSession

    final class PreviewView: UIView {
        override class var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }
        var preview: AVCaptureVideoPreviewLayer? { layer as? AVCaptureVideoPreviewLayer }
    }

    func makeUIView(context: Context) -> PreviewView {
        let view = PreviewView()
        view.preview?.session = session
        view.preview?.videoGravity = .resizeAspect
        return view
    }

    func updateUIView(_ view: PreviewView, context: Context) {}
}
