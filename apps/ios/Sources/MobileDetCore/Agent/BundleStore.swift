import Foundation

/// The bundles uploaded to an agent, each one zip file named by the bundle's checksum.
///
/// A bundle is verified when it is added, and again each time it is opened.
struct BundleStore: Sendable {
    private let folder: URL
    private let limitBytes: Int

    /// - Parameters:
    ///   - folder: created if missing; leftovers of interrupted uploads are removed.
    ///   - limitBytes: limit for the unpacked size of a bundle.
    init(folder: URL, limitBytes: Int) throws {
        (self.folder, self.limitBytes) = (folder, limitBytes)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.hasSuffix(".tmp") {
            try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
    }

    func contains(_ sha256: String) throws -> Bool {
        FileManager.default.fileExists(atPath: try url(sha256).path)
    }

    /// Store a zipped bundle atomically.
    ///
    /// - Parameter write: writes the zip file.
    /// - Returns: whether it is new.
    /// - Throws: `Refusal` if it is not a bundle, is unsafe, or has another checksum; `StorageFull`.
    func add(_ sha256: String, write: (OutputFile) throws -> Void) throws -> Bool {
        let target = try url(sha256)
        let temporary = folder.appendingPathComponent(".\(UUID().uuidString).tmp")
        defer { try? FileManager.default.removeItem(at: temporary) }
        let file = try OutputFile(temporary)
        try write(file)
        file.close()
        try refuseUnsafe(temporary)
        let found = try verified(temporary, name: target.lastPathComponent).sha256
        guard found == sha256 else { throw bad("the bundle's checksum is \(found), not \(sha256)") }
        let isNew = try !contains(sha256)
        guard rename(temporary.path, target.path) == 0 else { throw writeProblem(target.path) }
        return isNew
    }

    /// The bundle with this checksum.
    ///
    /// - Throws: `Refusal` if it does not exist, or was damaged on disk.
    func open(_ sha256: String) throws -> ModelBundle {
        guard try contains(sha256) else {
            throw Refusal(404, "unknown_bundle", "no bundle \(sha256) is here; upload it first")
        }
        let path = try url(sha256)
        return try verified(path, name: path.lastPathComponent)
    }

    /// Remove a bundle; open sessions keep their files.
    func remove(_ sha256: String) throws {
        try? FileManager.default.removeItem(at: url(sha256))
    }

    private func url(_ sha256: String) throws -> URL {
        guard sha256.utf8.count == 64, sha256.utf8.allSatisfy("0123456789abcdef".utf8.contains) else {
            throw Refusal.badRequest("'\(sha256.prefix(80))' is not a SHA-256 in lower-case hex")
        }
        return folder.appendingPathComponent("\(sha256).zip")
    }

    /// Refuse a bundle that is too large or contains links, before unpacking it.
    private func refuseUnsafe(_ path: URL) throws {
        let archive: ZipArchive
        do {
            archive = try ZipArchive(path)
        } catch let error as MobileDetError {
            throw bad("the body is not a zip file (\(error.message))")
        }
        let unpacked = archive.unpackedBytes
        guard unpacked <= limitBytes else {
            throw bad("the bundle unpacks to \(unpacked) bytes; the limit is \(limitBytes)")
        }
        let system = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
        if let free = system[.systemFreeSize] as? NSNumber, unpacked > free.intValue {
            throw Refusal(507, "no_space", "no room for \(unpacked) bytes on the device")
        }
        if let link = archive.entries.first(where: \.isLink) {
            throw bad("the bundle contains a symbolic link, '\(link.name)'")
        }
    }

    private func verified(_ path: URL, name: String) throws -> ModelBundle {
        do {
            return try ModelBundle(at: path)
        } catch let error as MobileDetError {
            throw bad(error.message.replacingOccurrences(of: path.lastPathComponent, with: name))
        }
    }

    private func bad(_ message: String) -> Refusal {
        Refusal(422, "bad_bundle", message)
    }
}
