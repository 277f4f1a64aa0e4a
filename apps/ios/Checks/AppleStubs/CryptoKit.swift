import Foundation

public enum P256 {
    public enum Signing {
        public struct ECDSASignature: Sendable { public init(rawRepresentation: Data) throws {} }

        public struct PublicKey: Sendable {
            public init(derRepresentation: Data) throws {}

            public func isValidSignature(_ signature: ECDSASignature, for data: Data) -> Bool { false }
        }
    }
}
