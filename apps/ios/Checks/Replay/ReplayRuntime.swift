import Foundation
import MobileDetCore

/// A double: a runtime that runs no model, but returns the recorded outputs of another runtime for the same inputs.
///
/// With it, everything around a runtime is tested on machines without Core ML: bundles, images, the gate, the protocol,
/// benchmarks. An input that was not recorded is an error, like a failure of a runtime.
public final class ReplayRuntime: DetectorRuntime {
    public typealias Decode = @Sendable (_ file: [UInt8]) throws -> RGBImage

    private let recordings: [String: Recording]
    private let decoder: Decode

    /// - Parameters:
    ///   - url: a JSON file in the format of `apps/testdata/recordings.json`.
    ///   - decode: decodes an image file without turning it.
    public init(recordings url: URL, decode: @escaping Decode) throws {
        let file = try JSONDecoder().decode(Recordings.self, from: Data(contentsOf: url))
        recordings = Dictionary(file.cases.map { ($0.input_sha256, $0) }) { $1 }
        decoder = decode
    }

    public let accelerators = ["auto", "replay"]

    public var info: DeviceInfo {
        DeviceInfo(
            name: "replay", model: "recorded outputs", os: ProcessInfo.processInfo.operatingSystemVersionString,
            cpu: "none", cores: ProcessInfo.processInfo.activeProcessorCount, runtime: "replay",
            runtimeVersion: mobileDetVersion)
    }

    public func state() -> DeviceState { DeviceState() }

    public func decode(_ file: [UInt8], applyOrientation: Bool) throws -> RGBImage {
        let image = try decoder(file)
        return applyOrientation ? image.turned(Orientation(ofFile: file)) : image
    }

    public func load(
        _ bundle: ModelBundle, _ file: ModelFile, accelerator: String, threads: Int
    ) throws -> any LoadedDetector {
        guard accelerators.contains(accelerator) else {
            throw MobileDetError("accelerator '\(accelerator)' is not one of \(accelerators.joined(separator: ", "))")
        }
        let execution = Execution(
            requested: accelerator, actual: "replay", delegatedShare: nil, threads: max(threads, 1))
        return ReplayDetector(recordings, bundle.spec.labels.count, execution)
    }
}

/// The outputs of a model file for one input.
struct Recording: Decodable {
    let input_sha256: String
    let boxes: [[Float]]
    let classes: [Float]
    let scores: [Float]
    let count: Float
}

private struct Recordings: Decodable {
    let cases: [Recording]
}

/// Returns recorded outputs for one session.
private final class ReplayDetector: LoadedDetector, @unchecked Sendable {
    let execution: Execution
    private let recordings: [String: Recording]
    private let classCount: Int
    private var input = ""
    private var outputs: Recording?

    init(_ recordings: [String: Recording], _ classCount: Int, _ execution: Execution) {
        (self.recordings, self.classCount, self.execution) = (recordings, classCount, execution)
    }

    func setInput(_ image: RGBImage) {
        input = SHA256.hex(image.pixels)
    }

    func invoke() throws {
        outputs = recordings[input]
        if outputs == nil { throw MobileDetError("no outputs were recorded for input \(input.prefix(12))") }
    }

    func detections() throws -> [Detection] {
        guard let outputs else { throw MobileDetError("nothing has run") }
        return try Decoding.graph(
            boxes: outputs.boxes.flatMap { $0 }, classes: outputs.classes, scores: outputs.scores, count: outputs.count,
            classCount: classCount)
    }

    func coldStart(_ image: RGBImage) throws -> ColdStart {
        let started = monotonicNs()
        let fresh = ReplayDetector(recordings, classCount, execution)
        let loaded = monotonicNs()
        fresh.setInput(image)
        try fresh.invoke()
        return ColdStart(loadNs: loaded - started, firstInferNs: monotonicNs() - loaded, memoryBytes: nil)
    }
}
