import Foundation

/// What bundle.json says.
struct BundleListing {
    private static let required: Set = ["labels.txt", "golden/golden.json"]

    let spec: ModelSpec
    let files: [ModelFile]
    /// Of bundle.json itself.
    let sha256: String
    private let checksums: [(name: String, sha256: String)]

    init(_ root: URL, bundle: String) throws {
        guard let content = try? Data(contentsOf: root.appendingPathComponent("bundle.json")) else {
            throw MobileDetError("\(bundle) is not a mobiledet bundle: bundle.json is missing")
        }
        sha256 = SHA256.hex(content)
        let listing: JSON
        do {
            listing = try JSONParser.parse(content, allowsNonFinite: true)
        } catch let error as MobileDetError {
            throw MobileDetError("\(bundle): bundle.json is \(error.message)")
        }
        spec = try ModelSpec(listing, bundle: bundle)
        let fields = Fields(listing, source: "\(bundle): bundle.json")
        files = try fields.array("files").map { try ModelFile(Fields($0, source: fields.source)) }
        let extras = try (fields.object("extras").value.members ?? []).map { member in
            guard let sha256 = member.value.string else { throw fields.problem("a checksum is no text") }
            return (member.name, sha256)
        }
        checksums = files.map { ($0.path, $0.sha256) } + extras
        let rest = JSON.object((listing.members ?? []).filter { $0.name != "sha256" })
        let isWhole = try fields.string("sha256") == SHA256.hex(JSONWriter.canonical(rest))
        guard isWhole, Self.required.isSubset(of: extras.map(\.0)) else {
            throw MobileDetError(
                "\(bundle): bundle.json has changed (checksum differs); copy or export the bundle again")
        }
    }

    func verifyFiles(_ root: URL, bundle: String) throws {
        for (name, sha256) in checksums {
            let target = try inside(root, name, bundle: bundle)
            guard FileManager.default.fileExists(atPath: target.path) else {
                throw MobileDetError("\(bundle): \(name) is missing; copy or export the bundle again")
            }
            guard try FileMeasure(of: target).sha256 == sha256 else {
                throw MobileDetError(
                    "\(bundle): \(name) has changed (checksum differs); copy or export the bundle again")
            }
        }
    }
}

extension ModelFile {
    // fields that this version does not know are no harm: they tell how the file was made and measured
    fileprivate init(_ fields: Fields) throws {
        path = try fields.string("path")
        format = try fields.string("format")
        precision = try fields.string("precision")
        face = try fields.value["face"] == nil ? "" : fields.string("face")
        bytes = try fields.integer("bytes")
        sha256 = try fields.string("sha256")
    }
}

/// Extract a zip; returns the folder with bundle.json: the top one, or its single sub-folder.
///
/// - Throws: `MobileDetError` when it is no zip, or one that is damaged, too large or leads out of the folder;
///   `StorageFull` when there is no room.
func unpackBundle(_ url: URL, into folder: URL) throws -> URL {
    let name = url.lastPathComponent
    do {
        let archive = try ZipArchive(url)
        guard archive.unpackedBytes <= ModelBundle.mostUnpackedBytes else {
            throw MobileDetError("it unpacks to more than \(ModelBundle.mostUnpackedBytes >> 30) GiB")
        }
        if let link = archive.entries.first(where: \.isLink) {
            throw MobileDetError("it holds a symbolic link, \(link.name)")
        }
        let targets = try archive.entries.map { try inside(folder, $0.name, bundle: name) }
        for (entry, target) in zip(archive.entries, targets) {
            let parent = entry.isFolder ? target : target.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
            if !entry.isFolder { try archive.extract(entry, to: target) }
        }
    } catch let error as MobileDetError {
        throw MobileDetError(
            "\(name) is not a mobiledet bundle: neither a folder nor a readable zip (\(error.message))")
    }
    let isTop = FileManager.default.fileExists(atPath: folder.appendingPathComponent("bundle.json").path)
    let inner = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        .map(folder.appendingPathComponent).filter(isFolder)
    return !isTop && inner.count == 1 ? inner[0] : folder
}
