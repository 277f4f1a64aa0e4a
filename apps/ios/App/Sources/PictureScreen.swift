import MobileDetCore
import MobileDetKit
import PhotosUI
import SwiftUI

/// A photo with boxes.
struct PictureScreen: View {
    @EnvironmentObject private var models: Models
    @State private var item: PhotosPickerItem?
    @State private var picture: UIImage?
    @State private var objects: [FoundObject] = []
    @State private var message = ""

    var body: some View {
        VStack {
            BundlePicker()
            ZStack {
                if let picture {
                    Image(uiImage: picture).resizable().scaledToFit()
                    BoxesView(objects: objects, size: picture.size)
                } else {
                    ContentUnavailableView("No picture chosen", systemImage: "photo")
                }
            }
            Text(message).font(.footnote)
            PhotosPicker("Choose a picture", selection: $item, matching: .images).buttonStyle(.borderedProminent)
        }
        .padding(.bottom)
        .onChange(of: item) { Task { await load() } }
        .onChange(of: models.selected) { (objects, message) = ([], "") }
    }

    private func load() async {
        (objects, message) = ([], "")
        guard let detector = models.detector else { return }
        do {
            guard let data = try await item?.loadTransferable(type: Data.self), let image = UIImage(data: data) else {
                return
            }
            // as in training: a bundle may specify that photos are not turned by their EXIF orientation
            let shown = detector.spec.input.exif == .ignore ? image.stored() : image.upright()
            picture = shown
            guard let pixels = shown.cgImage else { return }
            let started = monotonicNs()
            objects = try await Task.detached { try detector.detect(pixels) }.value
            message = String(format: "%d objects, %.1f ms", objects.count, Double(monotonicNs() - started) / 1e6)
        } catch {
            message = error.localizedDescription
        }
    }
}

extension UIImage {
    /// The image with its pixels as stored in the file, without its EXIF orientation.
    fileprivate func stored() -> UIImage {
        cgImage.map { UIImage(cgImage: $0) } ?? self
    }

    /// The image with its pixels turned upright, at one pixel per point.
    fileprivate func upright() -> UIImage {
        let pixels = CGSize(width: size.width * scale, height: size.height * scale)
        let format = UIGraphicsImageRendererFormat()
        format.scale = 1
        return UIGraphicsImageRenderer(size: pixels, format: format).image { _ in
            draw(in: CGRect(origin: .zero, size: pixels))
        }
    }
}
