import XCTest

@testable import MobileDetCore

final class SHA256Tests: XCTestCase {
    func testExamplesOfTheStandard() {
        XCTAssertEqual(SHA256.hex([]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        XCTAssertEqual(SHA256.hex("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        XCTAssertEqual(
            SHA256.hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        XCTAssertEqual(
            SHA256.hex([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    func testPiecesMakeTheWhole() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        for cuts in [[0], [1, 63, 64, 65], [55, 56, 57], [128, 500], [119, 120]] {
            var digest = SHA256()
            var start = 0
            for cut in cuts + [bytes.count] {
                digest.update(bytes[start..<cut])
                start = cut
            }
            XCTAssertEqual(digest.finish(), SHA256.hex(bytes))
        }
    }
}
