import Foundation
import XCTest

@testable import MobileDetCore

#if canImport(CryptoKit)
    import CryptoKit
#endif

final class ModelStoreTests: XCTestCase {
    func testSignaturesAreVerified() throws {
        for entry in try Vectors.cases("signatures") {
            let name = try entry.text("name")
            let text = try entry["text"]?.string.map { Array($0.utf8) } ?? entry.bytes("base64")
            let folder = try temporaryFolder(for: self), keys = try texts(entry, "keys")
            let verify = { try ModelStore(folder: folder, publicKeys: keys, isSigned: isSigned).verify(text) }
            if try entry.flag("accepted") {
                let signed = try verify(), expected = try entry.field("signed")
                XCTAssertEqual(signed.release, try expected.whole("release"), name)
                XCTAssertEqual(signed.bytes, try expected.whole("bytes"), name)
                XCTAssertEqual(signed.sha256, try expected.text("sha256"), name)
            } else {
                assertProblem(try entry.text("problem"), name) { _ = try verify() }
            }
        }
    }

    func testAStoreFollowsTheSteps() throws {
        for entry in try Vectors.cases("model_store") {
            let folder = try temporaryFolder(for: self).appendingPathComponent("store")
            let store = try ModelStore(
                folder: folder, publicKeys: texts(entry, "keys"), builtIn: entry.whole("built_in"), isSigned: isSigned)
            for (place, step) in try entry.list("steps").enumerated() {
                let name = "\(try entry.text("name")), step \(place)"
                if try step.text("action") == "rollback" {
                    _ = try store.rollback()
                } else if let problem = step["problem"]?.string {
                    assertProblem(problem, name) { _ = try install(store, step) }
                } else {
                    let model = try install(store, step)
                    XCTAssertEqual(try ModelBundle(at: model.url).root, model.url, name)
                }
                XCTAssertEqual(store.current?.release, try step.field("current").integer, name)
                XCTAssertEqual(store.previous?.release, try step.field("previous").integer, name)
                let held = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
                let kept = [store.current, store.previous].compactMap { $0?.name }
                XCTAssertEqual(Set(held).subtracting(["current"]), Set(kept), name)
            }
        }
    }

    func testADamagedListMeansTheBuiltInModel() throws {
        let (store, folder, step) = try installed()
        for text in ["", "\n", "1-abc\n", "../x\n"] {
            try Data(text.utf8).write(to: folder.appendingPathComponent("current"))
            XCTAssertNil(store.current, text)
        }
        _ = try install(store, step)
        XCTAssertEqual(store.current?.release, 1)
        try store.clear()
        XCTAssertNil(store.current)
    }

    func testAnUpdateDownloadsOnlyWhatIsNewer() async throws {
        let (store, _, first) = try installed()
        let entry = try XCTUnwrap(try Vectors.cases("model_store").first)
        let source = Source(step: try entry.list("steps")[1])
        let update = try await store.update(from: source) { _ in }
        XCTAssertEqual(update?.release, 2)
        let again = try await store.update(from: source) { _ in }
        XCTAssertNil(again)
        let older = Source(step: first)
        let none = try await store.update(from: older) { _ in }
        XCTAssertNil(none)
        XCTAssertEqual(source.downloads.with { $0 }, 1)
        XCTAssertEqual(older.downloads.with { $0 }, 0)
    }

    private struct Source: ModelSource {
        let step: JSON
        let downloads = Locked(0)

        func signature() async throws -> [UInt8] { Array(try step.text("signature").utf8) }

        func download(to url: URL, bytes: Int) async throws {
            downloads.with { $0 += 1 }
            try FileManager.default.copyItem(at: Vectors.bundles.appendingPathComponent(step.text("file")), to: url)
        }
    }

    private func installed() throws -> (ModelStore, URL, JSON) {
        let entry = try XCTUnwrap(try Vectors.cases("model_store").first), step = try entry.list("steps")[0]
        let folder = try temporaryFolder(for: self)
        let store = try ModelStore(folder: folder, publicKeys: texts(entry, "keys"), isSigned: isSigned)
        _ = try install(store, step)
        return (store, folder, step)
    }

    private func install(_ store: ModelStore, _ step: JSON) throws -> ModelStore.Installed {
        let zip = Vectors.bundles.appendingPathComponent(try step.text("file")), passes = try step.flag("gate")
        return try store.install(
            signature: Array(step.text("signature").utf8), zip: zip, allowOlder: step.flag("allow_older")
        ) { bundle in
            _ = try bundle.golden(bundle.file())
            if !passes { throw MobileDetError("the golden cases differ") }
        }
    }

    private func texts(_ entry: JSON, _ name: String) throws -> [String] {
        try entry.list(name).map { try XCTUnwrap($0.string) }
    }

    private func assertProblem(_ problem: String, _ name: String, _ body: () throws -> Void) {
        XCTAssertThrowsError(try body(), name) { error in
            let message = (error as? MobileDetError)?.message ?? "\(error)"
            XCTAssert(message.contains(problem), "\(name): \(message) lacks \(problem)")
        }
    }
}

#if canImport(CryptoKit)
    private let isSigned: SignatureCheck = { message, signature, key in
        guard let key = try? P256.Signing.PublicKey(derRepresentation: Data(key.der)),
            let signature = try? P256.Signing.ECDSASignature(rawRepresentation: Data(signature))
        else { return false }
        return key.isValidSignature(signature, for: Data(message))
    }
#else
    private let isSigned: SignatureCheck = { OpenSSL.isSigned($0, $1, $2) }

    /// OpenSSL's library, which Swift for Linux needs anyway, loaded without its headers: CryptoKit exists only on Apple's
    /// systems.
    private enum OpenSSL {
        private typealias Object = UnsafeMutableRawPointer
        private typealias Bytes = UnsafePointer<UInt8>
        private typealias DecodeKey =
            @convention(c) (Object?, UnsafeMutablePointer<Bytes?>, Int) -> Object?
        private typealias Make = @convention(c) () -> Object?
        private typealias Free = @convention(c) (Object?) -> Void
        private typealias Begin = @convention(c) (Object?, Object?, Object?, Object?, Object?) -> Int32
        private typealias Verify = @convention(c) (Object?, Bytes, Int, Bytes, Int) -> Int32

        private static func function<Function>(_ name: String, _ kind: Function.Type) -> Function {
            let library = dlopen("libcrypto.so.3", RTLD_NOW)
            guard let library, let symbol = dlsym(library, name) else { fatalError("no \(name) of OpenSSL 3") }
            return unsafeBitCast(symbol, to: kind)
        }

        static func isSigned(_ message: [UInt8], _ signature: [UInt8], _ key: PublicKey) -> Bool {
            let decoded = key.der.withUnsafeBufferPointer { der -> Object? in
                var start = der.baseAddress
                return function("d2i_PUBKEY", DecodeKey.self)(nil, &start, der.count)
            }
            guard let decoded else { return false }
            defer { function("EVP_PKEY_free", Free.self)(decoded) }
            let context = function("EVP_MD_CTX_new", Make.self)()
            defer { function("EVP_MD_CTX_free", Free.self)(context) }
            let sha256 = function("EVP_sha256", Make.self)(), sequence = der(signature)
            guard function("EVP_DigestVerifyInit", Begin.self)(context, nil, sha256, nil, decoded) == 1 else {
                return false
            }
            return function("EVP_DigestVerify", Verify.self)(
                context, sequence, sequence.count, message, message.count) == 1
        }

        /// r and s as a sequence of two integers.
        private static func der(_ raw: [UInt8]) -> [UInt8] {
            let integers = [raw[..<32], raw[32...]].flatMap { half -> [UInt8] in
                var digits = Array(half.drop { $0 == 0 })
                if digits.first.map({ $0 >= 0x80 }) ?? true { digits.insert(0, at: 0) }
                return [0x02, UInt8(digits.count)] + digits
            }
            return [0x30, UInt8(integers.count)] + integers
        }
    }
#endif
