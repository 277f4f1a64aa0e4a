import SwiftUI

/// Shows how a computer connects to this device; the screen stays on meanwhile.
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
                        "Keep this app in the foreground. It listens only on the phone's own address: connect the cable and "
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
