#if canImport(CoreML) && canImport(SwiftUI) && canImport(UIKit) && !os(tvOS) && !os(visionOS)
    import AVFoundation
    import SwiftUI

    /// The image of a camera, drawn by the system without a copy in the app.
    struct CameraPreview: UIViewRepresentable {
        let camera: DetectorCamera
        let contentMode: ContentMode

        final class PreviewView: UIView {
            override class var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }
            var preview: AVCaptureVideoPreviewLayer? { layer as? AVCaptureVideoPreviewLayer }
        }

        func makeUIView(context: Context) -> PreviewView {
            let view = PreviewView()
            if let preview = view.preview { camera.attach(preview) }
            return view
        }

        func updateUIView(_ view: PreviewView, context: Context) {
            view.preview?.videoGravity = contentMode == .fill ? .resizeAspectFill : .resizeAspect
        }
    }
#endif
