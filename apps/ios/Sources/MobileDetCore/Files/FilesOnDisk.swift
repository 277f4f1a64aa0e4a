import Foundation

extension SHA256 {
    private static let block = 1 << 20

    /// The checksum of a file on disk.
    static func hex(ofFile url: URL) throws -> String {
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        var digest = SHA256()
        while let data = try autoreleased({ try handle.read(upToCount: block) }), !data.isEmpty {
            data.withUnsafeBytes { digest.update($0) }
        }
        return digest.finish()
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

/// The file or folder `name` of a bundle; throws if it is outside `root`.
///
/// - Parameter bundle: the bundle's name, for messages.
func inside(_ root: URL, _ name: String, bundle: String) throws -> URL {
    let parts = name.split(separator: "/", omittingEmptySubsequences: true).filter { $0 != "." }
    if parts.isEmpty || parts.contains("..") || name.hasPrefix("/") || name.contains("\\") || name.contains("\0") {
        throw MobileDetError(
            "\(bundle): file name '\(name.prefix(80))' points outside the bundle; do not use this bundle")
    }
    var url = root
    for part in parts {
        url.appendPathComponent(String(part))
        if isLink(url) {
            let target = url.resolvingSymlinksInPath().standardizedFileURL.pathComponents
            guard target.starts(with: root.resolvingSymlinksInPath().standardizedFileURL.pathComponents) else {
                throw MobileDetError("\(bundle): \(name) is a link to outside the bundle; do not use this bundle")
            }
        }
    }
    return url
}

/// Run `body` in an autorelease pool on Apple's systems, so that Foundation's memory is freed at once.
func autoreleased<Result>(_ body: () throws -> Result) rethrows -> Result {
    #if canImport(ObjectiveC)
        return try autoreleasepool(invoking: body)
    #else
        return try body()
    #endif
}
