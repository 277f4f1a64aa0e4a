import MobileDetKit
import SwiftUI

/// Boxes with labels over an image that is scaled to fit.
struct BoxesView: View {
    let objects: [FoundObject]
    /// Size of the image, in pixels.
    let size: CGSize

    var body: some View {
        Canvas { context, area in
            let scale = min(area.width / size.width, area.height / size.height)
            let left = (area.width - size.width * scale) / 2, top = (area.height - size.height * scale) / 2
            for object in objects {
                let box = CGRect(
                    x: left + object.box.minX * scale, y: top + object.box.minY * scale,
                    width: object.box.width * scale, height: object.box.height * scale)
                let colour = Self.colour(object.label)
                context.stroke(Path(box), with: .color(colour), lineWidth: 2)
                let text = Text("\(object.label) \(Int((100 * object.score).rounded())) %")
                    .font(.caption.bold()).foregroundStyle(.white)
                let label = context.resolve(text)
                let textSize = label.measure(in: area)
                let labelBox = CGRect(
                    x: box.minX, y: max(0, box.minY - textSize.height), width: textSize.width + 6,
                    height: textSize.height)
                context.fill(Path(labelBox), with: .color(colour))
                context.draw(label, at: CGPoint(x: labelBox.minX + 3, y: labelBox.minY), anchor: .topLeading)
            }
        }
        .accessibilityElement()
        .accessibilityLabel(objects.isEmpty ? "nothing detected" : objects.map(\.label).joined(separator: ", "))
    }

    /// The colour of a label; the same in every run, so that images can be compared.
    private static func colour(_ label: String) -> Color {
        let hash = label.unicodeScalars.reduce(UInt32(7)) { ($0 &* 31) &+ $1.value }
        return Color(hue: Double(hash % 360) / 360, saturation: 0.85, brightness: 0.75)
    }
}

/// Chooses a bundle and shows the status.
struct BundlePicker: View {
    @EnvironmentObject private var models: Models

    var body: some View {
        VStack(alignment: .leading) {
            if models.bundles.count > 1 {
                Picker("Bundle", selection: $models.selected) {
                    ForEach(models.bundles, id: \.self) { url in
                        Text(url.deletingPathExtension().lastPathComponent).tag(Optional(url))
                    }
                }
            }
            if !models.status.isEmpty { Text(models.status).font(.footnote).foregroundStyle(.secondary) }
        }
        .padding(.horizontal)
    }
}
