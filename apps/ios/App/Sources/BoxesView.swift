import MobileDetKit
import SwiftUI

/// Boxes with labels over a picture that is shown as large as it fits.
struct BoxesView: View {
    let objects: [FoundObject]
    /// Of the picture, in pixels.
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
                let room = label.measure(in: area)
                let place = CGRect(
                    x: box.minX, y: max(0, box.minY - room.height), width: room.width + 6, height: room.height)
                context.fill(Path(place), with: .color(colour))
                context.draw(label, at: CGPoint(x: place.minX + 3, y: place.minY), anchor: .topLeading)
            }
        }
        .accessibilityElement()
        .accessibilityLabel(objects.isEmpty ? "nothing found" : objects.map(\.label).joined(separator: ", "))
    }

    /// The same colour for a label at each start, so that pictures can be compared.
    private static func colour(_ label: String) -> Color {
        let hash = label.unicodeScalars.reduce(UInt32(7)) { ($0 &* 31) &+ $1.value }
        return Color(hue: Double(hash % 360) / 360, saturation: 0.85, brightness: 0.75)
    }
}

/// Chooses a bundle, and says what goes on.
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
