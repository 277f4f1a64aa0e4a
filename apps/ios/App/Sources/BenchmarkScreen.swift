import MobileDetCore
import MobileDetKit
import SwiftUI

/// Times the model on this device. For numbers to publish, run an evaluation, which keeps every sample.
struct BenchmarkScreen: View {
    @EnvironmentObject private var models: Models
    @State private var accelerator = "auto"
    @State private var rows: [Row] = []
    @State private var isRunning = false

    var body: some View {
        VStack {
            BundlePicker()
            Picker("Accelerator", selection: $accelerator) {
                ForEach(CoreMLRuntime().accelerators, id: \.self) { Text($0) }
            }
            .pickerStyle(.segmented).padding(.horizontal)
            List(rows) { row in
                LabeledContent(row.id, value: row.value).monospacedDigit()
            }
            Button(isRunning ? "Measuring ..." : "Measure for 10 seconds") { Task { await measure() } }
                .buttonStyle(.borderedProminent).disabled(isRunning || models.selected == nil)
        }
        .padding(.bottom)
    }

    private func measure() async {
        guard let url = models.selected else { return }
        isRunning = true
        defer { isRunning = false }
        do {
            let (bench, accelerator) = (Benchmark.self, accelerator)
            let result = try await Task.detached(priority: .userInitiated) {
                try bench.run(url, CoreMLRuntime(), accelerator: accelerator)
            }.value
            let stats = result.latency
            rows = [
                Row("runs on", result.execution.actual), Row("p50", text(stats.p50Ms)), Row("p90", text(stats.p90Ms)),
                Row("p95", text(stats.p95Ms)), Row("p99", stats.p99Ms.map(text) ?? "needs 200 runs"),
                Row("runs", "\(stats.n)"), Row("load", text(Double(result.coldStart.loadNs) / 1e6)),
                Row("first run", text(Double(result.coldStart.firstInferNs) / 1e6)),
                Row("throttled", stats.throttled ? "yes" : "no"), Row("golden gate", "passed"),
            ]
        } catch {
            rows = [Row("problem", error.localizedDescription)]
        }
    }

    private func text(_ milliseconds: Double) -> String { String(format: "%.2f ms", milliseconds) }
}

private struct Row: Identifiable {
    let id: String
    let value: String

    init(_ name: String, _ value: String) {
        (id, self.value) = (name, value)
    }
}
