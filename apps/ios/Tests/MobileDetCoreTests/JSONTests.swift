import XCTest

@testable import MobileDetCore

final class JSONTests: XCTestCase {
    func testIntegersAndOtherNumbersAreToldApart() throws {
        let value = try JSONParser.parse(#"{"a": 5, "b": 5.0, "c": 5e0, "d": -0, "e": [1E2, true, null]}"#.utf8)
        XCTAssertEqual(value["a"], .integer(5))
        XCTAssertEqual(value["b"], .number(5))
        XCTAssertEqual(value["c"], .number(5))
        XCTAssertEqual(value["d"], .integer(0))
        XCTAssertEqual(value["e"], .array([.number(100), .bool(true), .null]))
        XCTAssertNil(value["f"])
    }

    func testTexts() throws {
        let value = try JSONParser.parse(#"["\u00e9\uD83D\ude00\/\n\"", "鳥"]"#.utf8)
        XCTAssertEqual(value, .array([.string("é😀/\n\""), .string("鳥")]))
        XCTAssertEqual(try JSONParser.parse(JSONWriter.compact(value)), value)
    }

    func testWhatIsNotJSON() {
        for text in [
            "", " ", "{", "[1,]", "{\"a\":1,}", "[1 2]", "01", "1.", ".5", "+1", "-", "1e", "tru", "\"\u{1}\"",
            "\"\\x\"",
            "\"\\ud800\"", "\"open", "nan", "NaN", "[Infinity]", "-Infinity", "1 1", "{1: 2}", "{\"a\" 1}", "\u{FEFF}1",
            "1e999", "99999999999999999999", String(repeating: "[", count: 100_000), "'a'", "// 1",
        ] {
            assertRefused(String(text.prefix(20))) { _ = try JSONParser.parse(text.utf8) }
        }
        assertRefused { _ = try JSONParser.parse([0x22, 0xFF, 0x22]) }
    }

    func testNaNIsNeverSent() {
        assertRefused { _ = try JSONWriter.compact(.array([.number(.nan)])) }
    }
}
