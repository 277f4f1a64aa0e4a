#if canImport(CoreML) && canImport(CryptoKit)
    import CryptoKit
    import Foundation
    import MobileDetCore

    extension ModelStore {
        /// A store that verifies signatures by CryptoKit; the parameters are those of the other initializer.
        public convenience init(folder: URL, publicKeys: [String], builtIn: Int = -1) throws {
            try self.init(folder: folder, publicKeys: publicKeys, builtIn: builtIn) { message, signature, key in
                guard let key = try? P256.Signing.PublicKey(derRepresentation: Data(key.der)),
                    let signature = try? P256.Signing.ECDSASignature(rawRepresentation: Data(signature))
                else { return false }
                return key.isValidSignature(signature, for: Data(message))
            }
        }
    }

    extension Detector {
        /// Load a bundle and replay its golden cases, as the gate of `ModelStore.install`.
        ///
        /// - Throws: `MobileDetError` if this device does not reproduce them.
        public static func check(_ bundle: ModelBundle) throws {
            let (detector, file) = try ModelFormat.loadBest(bundle, "", accelerator: "auto")
            try ModelFormat.check(detector, bundle, file)
        }
    }
#endif
