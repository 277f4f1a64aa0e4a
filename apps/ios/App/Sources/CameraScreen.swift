import MobileDetKit
import SwiftUI

/// The camera image with boxes.
struct CameraScreen: View {
    let isShown: Bool
    @EnvironmentObject private var models: Models
    @State private var tracks = false
    @State private var milliseconds: Double?

    var body: some View {
        VStack {
            BundlePicker()
            if isShown, let detector = models.detector {
                DetectorView(detector, tracks: tracks) { milliseconds = $0.milliseconds }
            } else {
                Spacer()
            }
            HStack {
                Toggle("Track objects", isOn: $tracks)
                Text(milliseconds.map { String(format: "%.1f ms", $0) } ?? "").monospacedDigit()
            }
            .font(.footnote).padding(.horizontal).padding(.bottom)
        }
    }
}
