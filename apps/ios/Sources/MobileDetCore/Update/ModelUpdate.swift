import Foundation

/// Where an app gets new models from.
public protocol ModelSource: Sendable {
    /// The content of the signature file.
    func signature() async throws -> [UInt8]

    /// Write the zip to a file.
    ///
    /// - Parameter bytes: its size; a longer one is refused later, and should not be downloaded completely.
    func download(to url: URL, bytes: Int) async throws
}

extension ModelStore {
    /// Fetch the signature and, only if its release is newer than the model in use, the zip, and install it.
    ///
    /// - Parameter gate: as in `install`.
    /// - Returns: the new model; nil if there is no newer one.
    /// - Throws: the source's error, or as `install`.
    public func update(
        from source: some ModelSource, gate: @Sendable (ModelBundle) throws -> Void
    ) async throws -> Installed? {
        let signature = try await source.signature()
        let signed = try verify(signature)
        guard isNewer(signed) else { return nil }
        let zip = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).zip")
        defer { try? FileManager.default.removeItem(at: zip) }
        try await source.download(to: zip, bytes: signed.bytes)
        return try install(signature: signature, zip: zip, gate: gate)
    }
}
