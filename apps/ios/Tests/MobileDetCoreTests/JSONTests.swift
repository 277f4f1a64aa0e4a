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
        XCTAssertEqual(
            String(decoding: JSONWriter.canonical(value), as: UTF8.self), #"["\u00e9\ud83d\ude00/\n\"", "\u9ce5"]"#)
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

    func testNumbersAreWrittenAsPythonWritesThem() {
        let texts: [(Double, String)] = [
            (0, "0.0"), (-0.0, "-0.0"), (1, "1.0"), (0.1, "0.1"), (123.675, "123.675"), (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"), (1e15, "1000000000000000.0"), (1e16, "1e+16"),
            (12345678901234568, "1.2345678901234568e+16"),
            (1.2e16, "1.2e+16"), (9007199254740992, "9007199254740992.0"), (.leastNonzeroMagnitude, "5e-324"),
            (-1.5e300, "-1.5e+300"),
            (0.30000001192092896, "0.30000001192092896"), (100, "100.0"), (1e22, "1e+22"), (.nan, "NaN"),
            (-.infinity, "-Infinity"),
        ]
        for (value, text) in texts { XCTAssertEqual(pythonText(value), text) }
    }

    func testNaNIsNeverSent() {
        assertRefused { _ = try JSONWriter.compact(.array([.number(.nan)])) }
    }
}
