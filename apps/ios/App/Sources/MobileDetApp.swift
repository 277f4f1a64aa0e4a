import MobileDetCore
import SwiftUI

/// Shows detections in camera images and photos, times the model, and serves evaluations from a computer.
@main
struct MobileDetApp: App {
    @Environment(\.scenePhase) private var phase
    @StateObject private var models = Models()
    @StateObject private var evaluation = Evaluation()
    @State private var tab: Screen

    private enum Screen {
        case camera, picture, benchmark, evaluation
    }

    init() {
        ModelBundle.removeAbandoned()
        // a computer that starts the app for an evaluation passes a token
        _tab = State(initialValue: LaunchOptions.current.token == nil ? .camera : .evaluation)
    }

    var body: some Scene {
        WindowGroup {
            TabView(selection: $tab) {
                CameraScreen(isShown: tab == .camera).tabItem { Label("Camera", systemImage: "camera") }
                    .tag(Screen.camera)
                PictureScreen().tabItem { Label("Picture", systemImage: "photo") }.tag(Screen.picture)
                BenchmarkScreen().tabItem { Label("Benchmark", systemImage: "stopwatch") }.tag(Screen.benchmark)
                EvaluationScreen().tabItem { Label("Evaluate", systemImage: "cable.connector") }
                    .tag(Screen.evaluation)
            }
            .environmentObject(models)
            .environmentObject(evaluation)
            .task { await models.refresh() }
        }
        .onChange(of: phase, initial: true) { _, phase in
            evaluation.setForeground(phase != .background)
            if phase == .active, LaunchOptions.current.token != nil { evaluation.start() }
        }
    }
}

/// Launch options of the app: `MOBILEDET_TOKEN` and `MOBILEDET_PORT`, or `--token T --port P`.
struct LaunchOptions {
    let token: String?
    let port: UInt16?

    static let current = LaunchOptions(
        environment: ProcessInfo.processInfo.environment, arguments: ProcessInfo.processInfo.arguments)

    init(environment: [String: String], arguments: [String]) {
        func value(_ variable: String, _ argument: String) -> String? {
            if let index = arguments.firstIndex(of: argument), index + 1 < arguments.count {
                return arguments[index + 1]
            }
            return environment[variable]
        }
        token = value("MOBILEDET_TOKEN", "--token")
        port = value("MOBILEDET_PORT", "--port").flatMap(UInt16.init)
    }
}
