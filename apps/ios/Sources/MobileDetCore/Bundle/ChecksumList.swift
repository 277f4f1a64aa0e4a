import Foundation

/// `SHA256SUMS` in the format of coreutils: one line for each file of a bundle except itself.
struct ChecksumList {
    static let name = "SHA256SUMS"
    private static let digits = 64

    /// Checksum of each path.
    let checksums: [String: String]

    /// Parse the list.
    ///
    /// - Throws: `MobileDetError` if a line is malformed, or a path is listed twice.
    init(_ content: some Sequence<UInt8>) throws {
        let bytes = Array(content)
        guard String(bytes: bytes, encoding: .utf8) != nil else { throw MobileDetError("it is not UTF-8") }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.last?.isEmpty ?? true else { throw MobileDetError("its last line is incomplete") }
        var found: [String: String] = [:]
        for (index, line) in lines.dropLast().enumerated() {
            let sha256 = line.prefix(Self.digits), path = line.dropFirst(Self.digits + 2)
            let isValid =
                sha256.allSatisfy {
                    UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0
                }
                && line.dropFirst(Self.digits).starts(with: "  ".utf8) && !path.isEmpty
                // no control character, which also excludes Windows line ends
                && path.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
            guard isValid else { throw MobileDetError("line \(index + 1) is not a checksum and a path") }
            let name = String(decoding: path, as: UTF8.self)
            guard name != Self.name, found.updateValue(String(decoding: sha256, as: UTF8.self), forKey: name) == nil
            else { throw MobileDetError("it lists \(name) twice, or itself") }
        }
        checksums = found
    }

    /// Checksum of a file, or of a folder's lines; nil if the path is not listed.
    func sha256(of path: String) -> String? {
        if let sha256 = checksums[path] { return sha256 }
        let inside = checksums.filter { $0.key.hasPrefix(path + "/") }.sorted { precedes($0.key, $1.key) }
        return inside.isEmpty ? nil : SHA256.hex(inside.map { "\($0.value)  \($0.key)\n" }.joined().utf8)
    }

    /// Verify every file in a folder.
    ///
    /// - Throws: `MobileDetError` if a file is missing, changed, outside the folder or not listed.
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
