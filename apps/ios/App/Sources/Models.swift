import Combine
import Foundation
import MobileDetCore
import MobileDetKit

/// The bundles that the app can open: those built into it (App/Models) and those copied into its documents folder.
@MainActor
final class Models: ObservableObject {
    @Published private(set) var bundles: [URL] = []
    @Published var selected: URL? {
        didSet { if selected != oldValue { Task { await open() } } }
    }
    @Published private(set) var detector: Detector?
    /// Progress or error message; empty if a detector is loaded.
    @Published private(set) var status = ""

    /// Look for bundles, and open the first one if none is open.
    func refresh() async {
        let documents = URL.documentsDirectory
        let built = Bundle.main.resourceURL?.appendingPathComponent("Models")
        bundles = [built, documents].compactMap { $0 }.flatMap { folder in
            let found = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            return (found ?? []).filter { $0.pathExtension == "mobiledet" }.sorted { $0.path < $1.path }
        }
        if selected == nil { selected = bundles.first }
        if bundles.isEmpty {
            status =
                "No bundle yet: run mobiledet export CHECKPOINT --app ios apps/ios, or copy NAME.mobiledet into this app's "
                + "folder with Finder or Files."
        }
    }

    private func open() async {
        detector = nil
        guard let url = selected else { return }
        status = "Opening \(url.lastPathComponent); Core ML compiles it the first time ..."
        do {
            let opened = try await Detector.open(url)
            guard url == selected else { return }  // another one was chosen meanwhile
            detector = opened
            status = ""
        } catch {
            if url == selected { status = error.localizedDescription }
        }
    }
}
