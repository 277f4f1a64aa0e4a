/// Writes JSON.
struct JSONWriter {
    private var text: [UInt8] = []

    /// A value on one line without spaces; non-ASCII letters are not escaped.
    ///
    /// - Throws: `MobileDetError` if it contains NaN or infinity, which JSON does not have.
    static func compact(_ value: JSON) throws -> [UInt8] {
        var writer = JSONWriter()
        try writer.write(value)
        return writer.text
    }

    private mutating func write(_ value: JSON) throws {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .integer(let value): append(String(value))
        case .number(let value):
            guard value.isFinite else { throw MobileDetError("\(value) is not a number in JSON") }
            append(value.description)
        case .string(let value): quote(value)
        case .array(let values):
            append("[")
            for (index, value) in values.enumerated() {
                separate(index)
                try write(value)
            }
            append("]")
        case .object(let members):
            append("{")
            for (index, member) in members.enumerated() {
                separate(index)
                quote(member.name)
                append(":")
                try write(member.value)
            }
            append("}")
        }
    }

    private mutating func separate(_ index: Int) {
        if index > 0 { append(",") }
    }

    private mutating func append(_ more: String) {
        text.append(contentsOf: more.utf8)
    }

    private mutating func quote(_ value: String) {
        append("\"")
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": append("\\\"")
            case "\\": append("\\\\")
            case "\n": append("\\n")
            case "\r": append("\\r")
            case "\t": append("\\t")
            case "\u{8}": append("\\b")
            case "\u{C}": append("\\f")
            case _ where scalar.value < 0x20:
                for unit in String(Character(scalar)).utf16 { append("\\u" + hexadecimal(unit)) }
            default: append(String(Character(scalar)))
            }
        }
        append("\"")
    }
}

private func hexadecimal(_ unit: UInt16) -> String {
    let digits = String(unit, radix: 16)
    return String(repeating: "0", count: 4 - digits.count) + digits
}
