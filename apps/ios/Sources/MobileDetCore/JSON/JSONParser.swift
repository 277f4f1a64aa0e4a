import Foundation

/// Parses JSON (RFC 8259) strictly; text after the value and invalid UTF-8 are errors.
struct JSONParser {
    private static let maxDepth = 128

    private let bytes: [UInt8]
    private var position = 0

    /// Parse a document.
    ///
    /// - Throws: `MobileDetError` with the position of the first error.
    static func parse(_ bytes: some Sequence<UInt8>) throws -> JSON {
        var parser = JSONParser(bytes: Array(bytes))
        parser.skipSpace()
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.position == parser.bytes.count else { throw parser.problem("something follows the value") }
        return value
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private mutating func value(depth: Int) throws -> JSON {
        guard depth < Self.maxDepth else { throw problem("it is nested too deeply") }
        switch peek {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws -> JSON {
        var members: [JSON.Member] = []
        position += 1
        skipSpace()
        if take("}") { return .object(members) }
        repeat {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw problem("a field's name is expected") }
            let name = try string()
            skipSpace()
            guard take(":") else { throw problem("a colon is expected") }
            skipSpace()
            members.append(JSON.Member(name, try value(depth: depth + 1)))
            skipSpace()
        } while take(",")
        guard take("}") else { throw problem("the object does not end") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws -> JSON {
        var values: [JSON] = []
        position += 1
        skipSpace()
        if take("]") { return .array(values) }
        repeat {
            skipSpace()
            values.append(try value(depth: depth + 1))
            skipSpace()
        } while take(",")
        guard take("]") else { throw problem("the list does not end") }
        return .array(values)
    }

    private mutating func string() throws -> String {
        position += 1
        var content: [UInt8] = []
        while let byte = peek {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(bytes: content, encoding: .utf8) else { throw problem("a text is not UTF-8") }
                return text
            case UInt8(ascii: "\\"):
                content.append(contentsOf: try escaped())
            case 0..<0x20:
                throw problem("a text contains a control character")
            default:
                content.append(byte)
            }
        }
        throw problem("a text does not end")
    }

    /// UTF-8 of the escape sequence after a backslash.
    private mutating func escaped() throws -> [UInt8] {
        guard let byte = peek else { throw problem("a text does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if 0xD800..<0xDC00 ~= code, take("\\"), take("u") {
                let low = try hexadecimal()
                guard 0xDC00..<0xE000 ~= low else { throw problem("half of a surrogate pair is missing") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw problem("half of a surrogate pair is missing") }
            return Array(String(Character(scalar)).utf8)
        default: throw problem("an unknown escape sequence")
        }
    }

    private mutating func hexadecimal() throws -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw problem("four hexadecimal digits are expected")
            }
            code = code << 4 + UInt32(digit)
            position += 1
        }
        return code
    }

    private mutating func number() throws -> JSON {
        let start = position
        _ = take("-")
        if !take("0") { try digits() }
        var isInteger = true
        if take(".") {
            isInteger = false
            try digits()
        }
        if take("e") || take("E") {
            isInteger = false
            if !take("+") { _ = take("-") }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger {
            guard let value = Int(text) else { throw problem("\(text.prefix(40)) is too large") }
            return .integer(value)
        }
        guard let value = Double(text), value.isFinite else { throw problem("\(text.prefix(40)) is too large") }
        return .number(value)
    }

    private mutating func digits() throws {
        let start = position
        while let byte = peek, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
        guard position > start else { throw problem("no JSON value") }
    }

    private mutating func word(_ text: String, _ value: JSON) throws -> JSON {
        guard bytes[position...].starts(with: text.utf8) else { throw problem("no JSON value") }
        position += text.utf8.count
        return value
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private var peek: UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    private func problem(_ reason: String) -> MobileDetError {
        MobileDetError("not JSON: \(reason), at byte \(position)")
    }
}
