import Foundation

/// The models that an app installs at run time: the one in use and the one before it, each an unpacked bundle.
///
/// A new model is used only after its signature, every checksum and its golden cases have been verified; the old one stays until
/// then, and after any failure. Only one process may use a folder. Methods may be called by any thread.
public final class ModelStore: Sendable {
    private static let list = "current"

    /// An installed model.
    public struct Installed: Equatable, Sendable {
        /// Number of its release.
        public let release: Int
        /// Checksum of its zip.
        public let sha256: String
        /// Folder of its bundle.
        public let url: URL

        var name: String { "\(release)-\(sha256)" }
    }

    private let folder: URL
    private let keys: [PublicKey]
    private let builtIn: Int
    private let isSigned: SignatureCheck
    private let lock = NSRecursiveLock()

    /// - Parameters:
    ///   - folder: a folder of the app for models alone.
    ///   - publicKeys: lines that `mobiledet sign --new-key` printed; a signature by any of them is accepted, so that a key can be
    ///     replaced.
    ///   - builtIn: release of the bundle that is built into the app: only newer ones are installed and used.
    ///   - isSigned: verifies a signature.
    /// - Throws: `MobileDetError` if a key is malformed.
    public init(folder: URL, publicKeys: [String], builtIn: Int = -1, isSigned: @escaping SignatureCheck) throws {
        (self.folder, self.builtIn, self.isSigned) = (folder, builtIn, isSigned)
        keys = try publicKeys.map { try PublicKey($0) }
    }

    /// The model to use, or nil if none is installed that is newer than the built-in one.
    public var current: Installed? { locked { listed().first.flatMap { $0.release > builtIn ? $0 : nil } } }

    /// The model that was in use before, or nil.
    public var previous: Installed? { locked { listed().dropFirst().first } }

    /// Verify a signature, before anything is downloaded.
    ///
    /// - Throws: `MobileDetError` if it is malformed or not of this app.
    public func verify(_ signature: [UInt8]) throws -> SignedFile {
        let (signed, numbers) = try SignedFile.parse(signature)
        guard keys.contains(where: { isSigned(signed.message, numbers, $0) }) else {
            throw MobileDetError("the signature was not made with a key of this app, or has been changed")
        }
        return signed
    }

    /// Whether a release is newer than the model in use.
    public func isNewer(_ signed: SignedFile) -> Bool { signed.release > newest }

    /// Install a downloaded model, which is used from now on.
    ///
    /// - Parameters:
    ///   - signature: content of the file NAME.sig.
    ///   - zip: the downloaded zip; nothing of it is read before its signature has been verified.
    ///   - allowOlder: accept a release that is only newer than the built-in one, for a deliberate return to an older model.
    ///   - gate: loads the bundle on this device and throws if it does not reproduce the golden cases.
    /// - Throws: `MobileDetError` as `verify`, or the release is not newer, the file is not the signed one or damaged, or as
    ///   `gate`. The model in use has not changed then.
    public func install(
        signature: [UInt8], zip: URL, allowOlder: Bool = false, gate: (ModelBundle) throws -> Void
    ) throws -> Installed {
        try locked {
            let signed = try verify(signature)
            let least = allowOlder ? builtIn : newest
            guard signed.release > least else {
                throw MobileDetError("release \(signed.release) is not newer than release \(least), which is in use")
            }
            let size = try? FileManager.default.attributesOfItem(atPath: zip.path)[.size] as? Int
            guard size == signed.bytes, try SHA256.hex(ofFile: zip) == signed.sha256 else {
                throw MobileDetError(
                    "the downloaded file is not the signed one: it is incomplete or has been changed")
            }
            let target = installed(signed.release, signed.sha256), before = listed()
            guard !before.contains(target) else {
                throw MobileDetError("release \(signed.release) is installed already; rollback returns to it")
            }
            try removeOthers(than: before)
            do {
                try unpack(zip, to: target.url)
                try gate(ModelBundle(at: target.url))
                try use([target] + before.prefix(1))
            } catch {
                try? FileManager.default.removeItem(at: target.url)
                throw error
            }
            try removeOthers(than: listed())
            return target
        }
    }

    /// Use the previous model again and remove the current one; nil if there is none.
    public func rollback() throws -> Installed? {
        try locked {
            guard let previous else { return nil }
            try use([previous])
            try removeOthers(than: [previous])
            return previous
        }
    }

    /// Remove all models; the app uses the built-in one.
    public func clear() throws {
        try locked {
            try use([])
            try removeOthers(than: [])
        }
    }

    private var newest: Int { current?.release ?? builtIn }

    private func installed(_ release: Int, _ sha256: String) -> Installed {
        let url = folder.appendingPathComponent("\(release)-\(sha256)", isDirectory: true)
        return Installed(release: release, sha256: sha256, url: url)
    }

    private func unpack(_ zip: URL, to target: URL) throws {
        let work = folder.appendingPathComponent("work")
        try FileManager.default.createDirectory(at: work, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: work) }
        try FileManager.default.moveItem(at: unpackBundle(zip, into: work), to: target)
    }

    /// The models in use and before; none if the list is missing or damaged, so that the app uses the built-in model.
    private func listed() -> [Installed] {
        guard let text = try? String(contentsOf: folder.appendingPathComponent(Self.list), encoding: .utf8) else {
            return []
        }
        let lines = text.split(separator: "\n")
        let models = lines.compactMap { line -> Installed? in
            let parts = line.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 2, let release = Int(parts[0]), parts[1].utf8.count == 64,
                parts[1].allSatisfy({ $0.isHexDigit && !$0.isUppercase })
            else { return nil }
            let model = installed(release, String(parts[1]))
            return model.name == line ? model : nil
        }
        return models.count == lines.count ? models : []
    }

    /// Write the list; the system writes it under another name, which then replaces the old one at once.
    private func use(_ models: [Installed]) throws {
        let text = models.map { "\($0.name)\n" }.joined()
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: folder.appendingPathComponent(Self.list), options: .atomic)
        } catch {
            throw MobileDetError("cannot write \(folder.path); is the device's storage full?")
        }
    }

    /// Remove models that are no longer used, and what interrupted installations left.
    private func removeOthers(than kept: [Installed]) throws {
        let names = Set(kept.map(\.name) + [Self.list])
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        where !names.contains(name) {
            try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
    }

    private func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body()
    }
}
