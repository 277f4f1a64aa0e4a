import SwiftUI

/// Says how a computer reaches this device, and keeps the screen on while it does.
struct EvaluationScreen: View {
    @EnvironmentObject private var evaluation: Evaluation

    var body: some View {
        NavigationStack {
            List {
                Section {
                    if evaluation.isRunning {
                        LabeledContent("Address", value: evaluation.address)
                        LabeledContent("Token") { Text(evaluation.token).textSelection(.enabled).monospaced() }
                        Button("Stop", role: .destructive) { evaluation.stop() }
                    } else {
                        Button("Start") { evaluation.start() }
                    }
                    if !evaluation.problem.isEmpty { Text(evaluation.problem).foregroundStyle(.red) }
                } footer: {
                    Text(
                        "Keep this app on the screen. It listens on the phone's own address alone: connect the cable and "
                            + "forward the port, for example with iproxy \(port) \(port).")
                }
                Section("On the computer") {
                    Text("mobiledet evaluate BUNDLE --device http://127.0.0.1:\(port) --token TOKEN --data DATA")
                        .font(.footnote.monospaced()).textSelection(.enabled)
                }
            }
            .navigationTitle("Evaluate")
        }
    }

    private var port: String { evaluation.address.split(separator: ":").last.map(String.init) ?? "8765" }
}
