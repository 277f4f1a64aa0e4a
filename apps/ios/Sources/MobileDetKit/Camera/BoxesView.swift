#if canImport(CoreML) && canImport(SwiftUI) && canImport(UIKit)
    import MobileDetCore
    import SwiftUI

    /// Boxes with labels over a view that shows their image.
    public struct BoxesView: View {
        private let objects: [FoundObject]
        private let size: CGSize
        private let turn: Orientation
        private let isMirrored: Bool
        private let contentMode: ContentMode

        /// - Parameters:
        ///   - size: of the upright image, in pixels.
        ///   - turn, isMirrored: how the view shows the upright image, see `PreviewGeometry`.
        ///   - contentMode: whether the image is shown whole or fills the view.
        public init(
            objects: [FoundObject], size: CGSize, turn: Orientation = .upright, isMirrored: Bool = false,
            contentMode: ContentMode = .fit
        ) {
            (self.objects, self.size, self.turn, self.isMirrored) = (objects, size, turn, isMirrored)
            self.contentMode = contentMode
        }

        public var body: some View {
            Canvas { context, area in
                let geometry = PreviewGeometry(
                    image: (Float(size.height), Float(size.width)), view: (Float(area.height), Float(area.width)),
                    turn: turn, isMirrored: isMirrored, fills: contentMode == .fill)
                for object in objects {
                    let box = CGRect(geometry.toView(Box(object.box)))
                    let colour = Self.colour(object)
                    context.stroke(Path(box), with: .color(colour), lineWidth: 2)
                    let text = Text(Self.title(object)).font(.caption.bold()).foregroundStyle(.white)
                    let label = context.resolve(text)
                    let textSize = label.measure(in: area)
                    let labelBox = CGRect(
                        x: max(0, min(box.minX, area.width - textSize.width - 6)),
                        y: max(0, box.minY - textSize.height), width: textSize.width + 6, height: textSize.height)
                    context.fill(Path(labelBox), with: .color(colour))
                    context.draw(label, at: CGPoint(x: labelBox.minX + 3, y: labelBox.minY), anchor: .topLeading)
                }
            }
            .accessibilityElement()
            .accessibilityLabel(objects.isEmpty ? "nothing detected" : objects.map(\.label).joined(separator: ", "))
            .accessibilityAddTraits(.updatesFrequently)
        }

        private static func title(_ object: FoundObject) -> String {
            let id = object.id.map { "#\($0) " } ?? ""
            return "\(id)\(object.label) \(Int((100 * object.score).rounded())) %"
        }

        /// The colour of an id or a label; the same in every run, so that images can be compared.
        private static func colour(_ object: FoundObject) -> Color {
            let name = object.id.map { "\($0)" } ?? object.label
            let hash = name.unicodeScalars.reduce(UInt32(7)) { ($0 &* 31) &+ $1.value }
            // consecutive ids get colours far from each other
            let hue = object.id == nil ? hash % 360 : (hash &* 137) % 360
            return Color(hue: Double(hue) / 360, saturation: 0.85, brightness: 0.75)
        }
    }
#endif
