import Foundation

/// Size and checksum of what stands at a path, as bundle.json lists it.
struct FileMeasure: Equatable {
    /// Of all files, for a folder.
    let bytes: Int
    /// Of the file; for a folder, of its sorted relative paths and their checksums.
    let sha256: String

    private static let block = 1 << 20

    init(of url: URL) throws {
        if !isFolder(url) {
            (bytes, sha256) = try Self.file(url)
            return
        }
        var digest = SHA256()
        var total = 0
        for parts in try Self.files(in: url) {
            let (bytes, sha256) = try Self.file(parts.reduce(url) { $0.appendingPathComponent($1) })
            total += bytes
            digest.update("\(parts.joined(separator: "/"))\0\(sha256)\n".utf8)
        }
        (bytes, sha256) = (total, digest.finish())
    }

    private static func file(_ url: URL) throws -> (Int, String) {
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        var digest = SHA256()
        var total = 0
        while let data = try autoreleased({ try handle.read(upToCount: block) }), !data.isEmpty {
            total += data.count
            data.withUnsafeBytes { digest.update($0) }
        }
        return (total, digest.finish())
    }

    /// Relative paths of all files below a folder, each as its components, in their order.
    private static func files(in folder: URL) throws -> [[String]] {
        var found: [[String]] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let child = folder.appendingPathComponent(name)
            if isLink(child) { throw MobileDetError("\(child.path) is a symbolic link; do not use this bundle") }
            found += isFolder(child) ? try files(in: child).map { [name] + $0 } : [[name]]
        }
        return found.sorted { $0.lexicographicallyPrecedes($1, by: precedes) }
    }
}

func isFolder(_ url: URL) -> Bool {
    var folder: ObjCBool = false
    return FileManager.default.fileExists(atPath: url.path, isDirectory: &folder) && folder.boolValue
}

func isLink(_ url: URL) -> Bool {
    let attributes = try? FileManager.default.attributesOfItem(atPath: url.path)
    return attributes?[.type] as? FileAttributeType == .typeSymbolicLink
}

/// The file or folder `name` of a bundle, when that stays inside of `root`.
///
/// - Parameter bundle: the bundle's name, for messages.
func inside(_ root: URL, _ name: String, bundle: String) throws -> URL {
    let parts = name.split(separator: "/", omittingEmptySubsequences: true).filter { $0 != "." }
    if parts.isEmpty || parts.contains("..") || name.hasPrefix("/") || name.contains("\\") || name.contains("\0") {
        throw MobileDetError(
            "\(bundle): file name '\(name.prefix(80))' leads out of the bundle; do not use this bundle")
    }
    var url = root
    for part in parts {
        url.appendPathComponent(String(part))
        if isLink(url) {
            let target = url.resolvingSymlinksInPath().standardizedFileURL.pathComponents
            guard target.starts(with: root.resolvingSymlinksInPath().standardizedFileURL.pathComponents) else {
                throw MobileDetError("\(bundle): \(name) is a link out of the bundle; do not use this bundle")
            }
        }
    }
    return url
}

/// Run `body` so that what Foundation allocates in it on Apple's systems is freed at once.
func autoreleased<Result>(_ body: () throws -> Result) rethrows -> Result {
    #if canImport(ObjectiveC)
        return try autoreleasepool(invoking: body)
    #else
        return try body()
    #endif
}
