import SwiftUI

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
