import Foundation

/// One model file of a bundle.
public struct ModelFile: Equatable, Sendable {
    /// Relative to the bundle, with forward slashes; an .mlpackage and an .aimodel are folders.
    public let path: String
    /// `tflite`, `coreml` or `coreai`.
    public let format: String
    /// `float32`, `float16`, `int8` ...
    public let precision: String
    /// Of a Core ML package: `graph` gives boxes, classes, scores and count; `vision` is a pipeline that Vision takes for
    /// an object detector. Empty for the others.
    public let face: String
    /// Size, of all its files for a folder.
    public let bytes: Int
    /// Of the file; of the lines of SHA256SUMS for a folder.
    public let sha256: String
    /// Of its operating point: from which score on each class is shown; nil where none is stored.
    public let thresholds: [Double]?

    /// What a person looks at needs no guesses.
    public static let defaultScore = 0.3

    /// Whether a detection is shown: by `leastScore`, else by the thresholds, else by `defaultScore`.
    public func shows(_ classIndex: Int, score: Float, leastScore: Float? = nil) -> Bool {
        if let leastScore { return score >= leastScore }
        return Double(score) >= thresholds?[classIndex] ?? Self.defaultScore
    }
}

/// An opened bundle, `NAME.mobiledet`, whose every file has been verified against SHA256SUMS.
///
/// A bundle is a folder or the same as one zip file; a zip is unpacked into a temporary folder that lives as long as
/// this object.
public final class ModelBundle: Sendable {
    static let mostUnpackedBytes = 4 << 30

    /// What it was opened from.
    public let url: URL
    /// The folder that holds the files.
    public let root: URL
    public let spec: ModelSpec
    public let files: [ModelFile]
    /// Checksum of SHA256SUMS, which holds the checksums of all else: it names the bundle's exact content.
    public let sha256: String
    private let golden: [String: GoldenFile]
    private let temporary: URL?

    /// Open a bundle folder or zip and verify every file in it.
    ///
    /// - Throws: `MobileDetError` when nothing is there, it is no bundle, or a file is missing, changed or lies outside.
    public init(at url: URL) throws {
        guard FileManager.default.fileExists(atPath: url.path) else { throw MobileDetError("no bundle at \(url.path)") }
        let name = url.lastPathComponent
        let folder = isFolder(url) ? nil : try temporaryFolder(Self.temporaryPrefix)
        do {
            let root = try folder.map { try unpackBundle(url, into: $0) } ?? url
            let listing = try BundleListing(root, bundle: name)
            (self.url, self.root, temporary) = (url, root, folder)
            (spec, files, golden, sha256) = (listing.spec, listing.files, listing.golden, listing.sha256)
        } catch {
            if let folder { try? FileManager.default.removeItem(at: folder) }
            throw error
        }
    }

    deinit {
        if let temporary { try? FileManager.default.removeItem(at: temporary) }
    }

    /// The model file called `name`.
    ///
    /// - Parameters:
    ///   - name: a file name, or a precision such as `float16`; empty takes the first file.
    ///   - formats: are preferred in this order where several files are of the precision, or the name is empty. Among
    ///     Core ML packages the one with the four outputs goes before the one for Vision.
    /// - Throws: `MobileDetError` when there is none; the message lists what the bundle holds.
    public func file(_ name: String = "", formats: [String] = ["coreml"]) throws -> ModelFile {
        let fitting = files.filter { ["", $0.path, $0.precision].contains(name) }
        func rank(_ file: ModelFile) -> Int {
            let place = formats.firstIndex(of: file.format) ?? formats.count
            return (file.path == name ? 0 : 2 * (formats.count + 1)) + 2 * place + (file.face == "vision" ? 1 : 0)
        }
        if let best = fitting.min(by: { rank($0) < rank($1) }) { return best }
        let held = files.isEmpty ? "no model file" : files.map(\.path).joined(separator: ", ")
        throw MobileDetError("the bundle holds no \(name.isEmpty ? "file" : name); it holds \(held)")
    }

    /// What a model file of this bundle gives for the golden cases.
    public func golden(_ file: ModelFile) throws -> GoldenFile {
        guard let found = golden[file.path] else { throw MobileDetError("\(file.path) is of another bundle") }
        return found
    }

    /// Where a model file lies.
    public func url(of file: ModelFile) -> URL {
        root.appendingPathComponent(file.path)
    }
}

extension ModelBundle {
    static let temporaryPrefix = "mobiledet-unpacked"

    /// Remove what an earlier run of this app unpacked and could not remove, because the system ended it. Only for an app
    /// that has its temporary folder for itself, at its launch.
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
