import Foundation

/// What the signature of a zipped bundle says about it; `mobiledet sign` writes it (`mobiledet/signing/signature.py`).
public struct SignedFile: Equatable, Sendable {
    private static let maxNumber = (1 << 53) - 1
    private static let title = "mobiledet-signature 1"

    /// Number of the release, which rises.
    public let release: Int
    /// Size of the zip.
    public let bytes: Int
    /// Its checksum, hexadecimal.
    public let sha256: String

    /// The lines that are signed.
    var message: [UInt8] {
        Array("\(Self.title)\nrelease \(release)\nbytes \(bytes)\nsha256 \(sha256)\n".utf8)
    }

    /// Parse a signature file.
    ///
    /// - Returns: what it says, and the signature of that: r and s, 32 bytes each, not verified yet.
    /// - Throws: `MobileDetError` if it is malformed.
    static func parse(_ text: [UInt8]) throws -> (SignedFile, signature: [UInt8]) {
        let problem = MobileDetError("the signature is malformed: it is not a signature of mobiledet")
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.count == 6, lines[5].isEmpty, lines[0].elementsEqual(title.utf8),
            let release = number(lines[1], after: "release "), let bytes = number(lines[2], after: "bytes "), bytes > 0,
            let sha256 = rest(lines[3], after: "sha256 "), sha256.utf8.count == 64,
            sha256.utf8.allSatisfy({
                UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0
            }),
            let encoded = rest(lines[4], after: "ecdsa-p256 "), encoded.utf8.count == 88,
            let signature = Data(base64Encoded: encoded), signature.base64EncodedString() == encoded,
            signature.count == 64
        else { throw problem }
        let signed = SignedFile(release: release, bytes: bytes, sha256: sha256)
        // the text is only accepted in the form in which it was signed
        guard text.starts(with: signed.message) else { throw problem }
        return (signed, Array(signature))
    }

    private static func rest(_ line: ArraySlice<UInt8>, after name: String) -> String? {
        guard line.starts(with: name.utf8) else { return nil }
        return String(bytes: line.dropFirst(name.utf8.count), encoding: .ascii)
    }

    private static func number(_ line: ArraySlice<UInt8>, after name: String) -> Int? {
        guard let digits = rest(line, after: name), digits.utf8.count <= 16,
            digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }), let value = Int(digits),
            value <= maxNumber
        else { return nil }
        return value
    }
}

/// A public key on the curve P-256.
public struct PublicKey: Equatable, Sendable {
    // of every such key in the form SubjectPublicKeyInfo, uncompressed: algorithm and curve
    private static let head: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d,
        0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ]

    /// SubjectPublicKeyInfo.
    public let der: [UInt8]

    /// - Parameter line: what `mobiledet sign --new-key` printed.
    /// - Throws: `MobileDetError` if it is another text.
    public init(_ line: String) throws {
        guard let der = Data(base64Encoded: line), der.count == Self.head.count + 65, der.starts(with: Self.head) else {
            throw MobileDetError("'\(line.prefix(40))' is no public key of mobiledet sign --new-key")
        }
        self.der = Array(der)
    }
}

/// Verifies a signature by ECDSA with SHA-256; `MobileDetKit` has one of CryptoKit.
///
/// - Parameters: the message, its signature (r and s, 32 bytes each), and the key.
/// - Returns: whether it is the message's signature with this key; false also for a key that is no point of the curve.
public typealias SignatureCheck = @Sendable (_ message: [UInt8], _ signature: [UInt8], _ key: PublicKey) -> Bool
