import Foundation

/// One model file of a bundle.
public struct ModelFile: Equatable, Sendable {
    /// Relative to the bundle, with forward slashes; an .mlpackage and an .aimodel are folders.
    public let path: String
    /// `tflite`, `coreml` or `coreai`.
    public let format: String
    /// `float32`, `float16`, `int8` ...
    public let precision: String
    /// Interface of a Core ML package: `graph` returns boxes, classes, scores and count; `vision` is a pipeline that the
    /// Vision framework uses as an object detector. Empty for the other formats.
    public let face: String
    /// Size; for a folder the total size of its files.
    public let bytes: Int
    /// Checksum of the file, or of a folder's lines in SHA256SUMS.
    public let sha256: String
    /// Score threshold of each class, from its operating point; nil if none is stored.
    public let thresholds: [Double]?

    /// Score threshold of bundles without an operating point.
    public static let defaultScore = 0.3

    /// Score from which on a detection of a class counts, 0...1: that of its operating point, else `defaultScore`.
    public func threshold(_ classIndex: Int) -> Double { thresholds?[classIndex] ?? Self.defaultScore }

    /// Whether a detection reaches `minScore`; if that is nil, its class's threshold; without thresholds `defaultScore`.
    public func shows(_ classIndex: Int, score: Float, minScore: Float? = nil) -> Bool {
        if let minScore { return score >= minScore }
        return Double(score) >= threshold(classIndex)
    }
}

/// An opened bundle, `NAME.mobiledet`, whose every file has been verified against SHA256SUMS.
///
/// A bundle is a folder or the same as one zip file; a zip is unpacked into a temporary folder that lives as long as
/// this object.
public final class ModelBundle: Sendable {
    static let maxUnpackedBytes = 4 << 30

    /// The folder or zip that was opened.
    public let url: URL
    /// The folder of the files.
    public let root: URL
    public let spec: ModelSpec
    public let files: [ModelFile]
    /// Path of the model file to run, by runtime: `cpu`, `gpu`, `npu`, `coreml`, `coreai`.
    public let recommended: [String: String]
    /// Checksum of SHA256SUMS, which identifies the bundle's content.
    public let sha256: String
    private let golden: [String: GoldenFile]
    private let temporary: URL?

    /// Open a bundle folder or zip and verify every file in it.
    ///
    /// - Throws: `MobileDetError` if the path does not exist or is not a bundle, or a file is missing, changed or outside it.
    public init(at url: URL) throws {
        guard FileManager.default.fileExists(atPath: url.path) else { throw MobileDetError("no bundle at \(url.path)") }
        let name = url.lastPathComponent
        let folder = isFolder(url) ? nil : try temporaryFolder(Self.temporaryPrefix)
        do {
            let root = try folder.map { try unpackBundle(url, into: $0) } ?? url
            let listing = try BundleListing(root, bundle: name)
            (self.url, self.root, temporary) = (url, root, folder)
            (spec, files, golden, sha256) = (listing.spec, listing.files, listing.golden, listing.sha256)
            recommended = listing.recommended
        } catch {
            if let folder { try? FileManager.default.removeItem(at: folder) }
            throw error
        }
    }

    deinit {
        if let temporary { try? FileManager.default.removeItem(at: temporary) }
    }

    /// Choose a model file.
    ///
    /// - Parameters:
    ///   - name: a file name, or a precision such as `float16`; empty chooses the file that is recommended for the first
    ///     of the formats that the bundle has.
    ///   - formats: preferred formats, in this order, if several files match. Among Core ML packages, the one with the four
    ///     outputs is preferred to the one for Vision.
    /// - Throws: `MobileDetError` if no file matches; the message lists those in the bundle.
    public func file(_ name: String = "", formats: [String] = ["coreml"]) throws -> ModelFile {
        // TFLite files do not run on Apple's systems; checks on Linux run them on the processor
        let best = formats.compactMap { recommended[$0 == "tflite" ? "cpu" : $0] }.first
        let name = name.isEmpty ? best ?? "" : name
        let candidates = files.filter { ["", $0.path, $0.precision].contains(name) }
        func rank(_ file: ModelFile) -> Int {
            let place = formats.firstIndex(of: file.format) ?? formats.count
            return (file.path == name ? 0 : 2 * (formats.count + 1)) + 2 * place + (file.face == "vision" ? 1 : 0)
        }
        if let file = candidates.min(by: { rank($0) < rank($1) }) { return file }
        let held = files.isEmpty ? "no model file" : files.map(\.path).joined(separator: ", ")
        throw MobileDetError("the bundle holds no \(name.isEmpty ? "file" : name); it holds \(held)")
    }

    /// The golden cases of a model file, with its outputs.
    public func golden(_ file: ModelFile) throws -> GoldenFile {
        guard let found = golden[file.path] else { throw MobileDetError("\(file.path) is not in this bundle") }
        return found
    }

    /// The location of a model file.
    public func url(of file: ModelFile) -> URL {
        root.appendingPathComponent(file.path)
    }
}

extension ModelBundle {
    static let temporaryPrefix = "mobiledet-unpacked"

    /// Remove unpacked bundles of earlier runs of this app that the system terminated. Call it only at the launch of an app
    /// that does not share its temporary folder.
    public static func removeAbandoned() {
        let manager = FileManager.default, folder = manager.temporaryDirectory
        for name in (try? manager.contentsOfDirectory(atPath: folder.path)) ?? [] where name.hasPrefix(temporaryPrefix)
        {
            try? manager.removeItem(at: folder.appendingPathComponent(name))
        }
    }
}

/// A new empty folder.
func temporaryFolder(_ prefix: String) throws -> URL {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(prefix)-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    return url
}
