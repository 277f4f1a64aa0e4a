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
            guard let data = try await item?.loadTransferable(type: Data.self) else { return }
            // decoding and turning a photo takes long; not here, on the main thread
            guard let photo = try await Task.detached(operation: { try await Photo(data, detector) }).value else {
                message = "This file is not an image that the system can decode."
                return
            }
            (picture, objects) = (photo.picture, photo.objects)
            message = String(format: "%d objects, %.1f ms", objects.count, photo.milliseconds)
        } catch {
            message = error.localizedDescription
        }
    }
}

/// A photo as the model gets it, with the objects in it.
private struct Photo: Sendable {
    let picture: UIImage
    let objects: [FoundObject]
    let milliseconds: Double

    init?(_ file: Data, _ detector: Detector) async throws {
        guard let image = UIImage(data: file) else { return nil }
        // as in training: a bundle may specify that photos are not turned by their EXIF orientation
        picture = detector.spec.input.exif == .ignore ? image.stored() : image.upright()
        guard let pixels = picture.cgImage else { return nil }
        let started = monotonicNs()
        objects = try await detector.detect(pixels)
        milliseconds = Double(monotonicNs() - started) / 1e6
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
