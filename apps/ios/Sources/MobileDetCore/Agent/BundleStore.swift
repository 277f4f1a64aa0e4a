import Foundation

/// The bundles that an agent was given, each one zip file named by the bundle's checksum.
///
/// What is there has been verified, and is verified again each time it is opened.
struct BundleStore: Sendable {
    private let folder: URL
    private let limitBytes: Int

    /// - Parameters:
    ///   - folder: made if missing; what an interrupted upload left in it is removed.
    ///   - limitBytes: of all files of a bundle, unpacked.
    init(folder: URL, limitBytes: Int) throws {
        (self.folder, self.limitBytes) = (folder, limitBytes)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.hasSuffix(".tmp") {
            try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
    }

    func holds(_ sha256: String) throws -> Bool {
        FileManager.default.fileExists(atPath: try url(sha256).path)
    }

    /// Keep a zipped bundle, whole or not at all.
    ///
    /// - Parameter write: writes the zip file.
    /// - Returns: whether it is new.
    /// - Throws: `Refusal` when it is no bundle, a dangerous one, or another one; `StorageFull`.
    func add(_ sha256: String, write: (OutputFile) throws -> Void) throws -> Bool {
        let target = try url(sha256)
        let temporary = folder.appendingPathComponent(".\(UUID().uuidString).tmp")
        defer { try? FileManager.default.removeItem(at: temporary) }
        let file = try OutputFile(temporary)
        try write(file)
        file.close()
        try refuseDangerous(temporary)
        let found = try verified(temporary, name: target.lastPathComponent).sha256
        guard found == sha256 else { throw bad("the bundle's checksum is \(found), not \(sha256)") }
        let isNew = try !holds(sha256)
        guard rename(temporary.path, target.path) == 0 else { throw writeProblem(target.path) }
        return isNew
    }

    /// The bundle of this checksum.
    ///
    /// - Throws: `Refusal` when it is not there, or has been damaged on disk.
    func open(_ sha256: String) throws -> ModelBundle {
        guard try holds(sha256) else {
            throw Refusal(404, "unknown_bundle", "no bundle \(sha256) is here; upload it first")
        }
        let path = try url(sha256)
        return try verified(path, name: path.lastPathComponent)
    }

    /// Forget a bundle; sessions that run it keep their files.
    func remove(_ sha256: String) throws {
        try? FileManager.default.removeItem(at: url(sha256))
    }

    private func url(_ sha256: String) throws -> URL {
        guard sha256.utf8.count == 64, sha256.utf8.allSatisfy("0123456789abcdef".utf8.contains) else {
            throw Refusal.badRequest("'\(sha256.prefix(80))' is not a SHA-256 in lower-case hex")
        }
        return folder.appendingPathComponent("\(sha256).zip")
    }

    /// Refuse, before unpacking, what would fill the disk or lead elsewhere.
    private func refuseDangerous(_ path: URL) throws {
        let archive: ZipArchive
        do {
            archive = try ZipArchive(path)
        } catch let error as MobileDetError {
            throw bad("the body is not a zip file (\(error.message))")
        }
        let unpacked = archive.unpackedBytes
        guard unpacked <= limitBytes else {
            throw bad("the bundle unpacks to \(unpacked) bytes, this agent takes \(limitBytes)")
        }
        let system = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
        if let free = system[.systemFreeSize] as? NSNumber, unpacked > free.intValue {
            throw Refusal(507, "no_space", "no room for \(unpacked) bytes on the device")
        }
        if let link = archive.entries.first(where: \.isLink) {
            throw bad("the bundle holds a symbolic link, '\(link.name)'")
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
