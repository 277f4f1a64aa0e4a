import Foundation

/// Content of SHA256SUMS, bundle.json and golden/golden.json; every file has been verified.
struct BundleListing {
    private static let listing = "bundle.json"
    private static let required = [listing, "labels.txt", "golden/golden.json"]

    let spec: ModelSpec
    let files: [ModelFile]
    let recommended: [String: String]
    /// Golden cases by path of the model file.
    let golden: [String: GoldenFile]
    /// Checksum of SHA256SUMS.
    let sha256: String

    init(_ root: URL, bundle: String) throws {
        guard let content = try? Data(contentsOf: root.appendingPathComponent(Self.listing)) else {
            throw MobileDetError("\(bundle) is not a mobiledet bundle: bundle.json is missing")
        }
        guard let sums = try? Data(contentsOf: root.appendingPathComponent(ChecksumList.name)) else {
            throw MobileDetError(
                "\(bundle): \(ChecksumList.name) is missing, as in bundles of an older mobiledet; export or copy it again"
            )
        }
        sha256 = SHA256.hex(sums)
        let list = try Self.explained("\(bundle): \(ChecksumList.name)") { try ChecksumList(sums) }
        try list.verify(root, bundle: bundle)
        let missing = { (name: String) in
            MobileDetError("\(bundle): \(name) is missing; copy or export the bundle again")
        }
        if let name = Self.required.first(where: { list.checksums[$0] == nil }) { throw missing(name) }
        let listing = try Self.explained("\(bundle): \(Self.listing)") { try JSONParser.parse(content) }
        spec = try ModelSpec(listing, bundle: bundle)
        let fields = Fields(listing, source: "\(bundle): \(Self.listing)")
        let classCount = spec.labels.count
        files = try fields.array("files").map { entry in
            let entry = Fields(entry, source: fields.source), path = try entry.string("path")
            _ = try inside(root, path, bundle: bundle)
            guard let sha256 = list.sha256(of: path) else { throw missing(path) }
            return try ModelFile(entry, sha256: sha256, classCount: classCount)
        }
        recommended = try Recommended.read(fields, files)
        let reader = GoldenReader(folder: root.appendingPathComponent("golden"), spec: spec, bundle: bundle)
        golden = try reader.read(Set(files.map(\.path)))
    }

    private static func explained<Value>(_ source: String, _ read: () throws -> Value) throws -> Value {
        do {
            return try read()
        } catch let error as MobileDetError {
            throw MobileDetError("\(source) cannot be used: \(error.message)")
        }
    }
}

extension ModelFile {
    // unknown fields are ignored: they only describe how the file was made and measured
    fileprivate init(_ fields: Fields, sha256: String, classCount: Int) throws {
        path = try fields.string("path")
        format = try fields.string("format")
        precision = try fields.string("precision")
        face = try fields.value["face"] == nil ? "" : fields.string("face")
        bytes = try fields.integer("bytes")
        self.sha256 = sha256
        let stored = fields.value["operating_point"] ?? .null
        thresholds = try stored == .null ? nil : fields.object("operating_point").numbers("thresholds")
        try fields.require(
            thresholds.map { $0.count == classCount && $0.allSatisfy((0...1).contains) } ?? true,
            "the thresholds of \(path) are not \(classCount) numbers in 0...1")
    }
}

/// Unpack a zip; returns the folder with bundle.json: the top folder or its only subfolder.
///
/// - Throws: `MobileDetError` if it is not a zip, or is damaged, too large or points outside the folder; `StorageFull` if
///   the storage is full.
func unpackBundle(_ url: URL, into folder: URL) throws -> URL {
    let name = url.lastPathComponent
    do {
        let archive = try ZipArchive(url)
        guard archive.unpackedBytes <= ModelBundle.maxUnpackedBytes else {
            throw MobileDetError("it unpacks to more than \(ModelBundle.maxUnpackedBytes >> 30) GiB")
        }
        if let link = archive.entries.first(where: \.isLink) {
            throw MobileDetError("it contains a symbolic link, \(link.name)")
        }
        let targets = try archive.entries.map { try inside(folder, $0.name, bundle: name) }
        for (entry, target) in zip(archive.entries, targets) {
            let parent = entry.isFolder ? target : target.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
            if !entry.isFolder { try archive.extract(entry, to: target) }
        }
    } catch let error as MobileDetError {
        throw MobileDetError(
            "\(name) is not a mobiledet bundle: it is neither a folder nor a readable zip (\(error.message))")
    }
    let isTop = FileManager.default.fileExists(atPath: folder.appendingPathComponent("bundle.json").path)
    let inner = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        .map(folder.appendingPathComponent).filter(isFolder)
    return !isTop && inner.count == 1 ? inner[0] : folder
}
