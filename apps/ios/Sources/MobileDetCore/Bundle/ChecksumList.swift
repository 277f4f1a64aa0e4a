import Foundation

/// `SHA256SUMS` in the form of coreutils: a line for each file of a bundle but itself.
struct ChecksumList {
    static let name = "SHA256SUMS"
    private static let digits = 64

    /// Of each path.
    let checksums: [String: String]

    /// Read the text of the list.
    ///
    /// - Throws: `MobileDetError` when a line is malformed, or a path comes twice.
    init(_ content: some Sequence<UInt8>) throws {
        let bytes = Array(content)
        guard String(bytes: bytes, encoding: .utf8) != nil else { throw MobileDetError("it is not UTF-8") }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.last?.isEmpty ?? true else { throw MobileDetError("its last line is cut off") }
        var found: [String: String] = [:]
        for (index, line) in lines.dropLast().enumerated() {
            let sha256 = line.prefix(Self.digits), path = line.dropFirst(Self.digits + 2)
            let isSound =
                sha256.allSatisfy {
                    UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0
                }
                && line.dropFirst(Self.digits).starts(with: "  ".utf8) && !path.isEmpty
                // no control character, a line end of Windows among them
                && path.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
            guard isSound else { throw MobileDetError("line \(index + 1) is no checksum and path") }
            let name = String(decoding: path, as: UTF8.self)
            guard name != Self.name, found.updateValue(String(decoding: sha256, as: UTF8.self), forKey: name) == nil
            else { throw MobileDetError("it lists \(name) twice, or itself") }
        }
        checksums = found
    }

    /// Of a file, or of the lines of a folder's files; nil when nothing of it is listed.
    func sha256(of path: String) -> String? {
        if let sha256 = checksums[path] { return sha256 }
        let inside = checksums.filter { $0.key.hasPrefix(path + "/") }.sorted { precedes($0.key, $1.key) }
        return inside.isEmpty ? nil : SHA256.hex(inside.map { "\($0.value)  \($0.key)\n" }.joined().utf8)
    }

    /// Hold every file of a folder against the list.
    ///
    /// - Throws: `MobileDetError` when one is missing, changed, outside of the folder or not listed.
    func verify(_ root: URL, bundle: String) throws {
        for (name, sha256) in checksums.sorted(by: { precedes($0.key, $1.key) }) {
            let target = try inside(root, name, bundle: bundle)
            guard FileManager.default.fileExists(atPath: target.path), !isFolder(target) else {
                throw MobileDetError("\(bundle): \(name) is missing; copy or export the bundle again")
            }
            guard try SHA256.hex(ofFile: target) == sha256 else {
                throw MobileDetError(
                    "\(bundle): \(name) has changed (checksum differs); copy or export the bundle again")
            }
        }
        for name in try files(in: root) where name != Self.name && checksums[name] == nil {
            throw MobileDetError(
                "\(bundle) holds \(name), which \(Self.name) does not list; remove it or copy the bundle again")
        }
    }

    /// Paths of all files below a folder.
    private func files(in folder: URL, below path: String = "") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).flatMap { name in
            let child = folder.appendingPathComponent(name)
            if isLink(child) { throw MobileDetError("\(child.path) is a symbolic link; do not use this bundle") }
            return isFolder(child) ? try files(in: child, below: "\(path)\(name)/") : [path + name]
        }
    }
}
