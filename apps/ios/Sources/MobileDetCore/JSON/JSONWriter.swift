/// Writes JSON in one of two forms.
struct JSONWriter {
    private var text: [UInt8] = []
    private let canonical: Bool

    /// A value on one line without spaces, non-ASCII letters as they are.
    ///
    /// - Throws: `MobileDetError` when it holds NaN or infinity, which JSON does not have.
    static func compact(_ value: JSON) throws -> [UInt8] {
        var writer = JSONWriter(canonical: false)
        try writer.write(value)
        return writer.text
    }

    /// A value as Python's `json.dumps(value, sort_keys=True)` writes it, byte for byte.
    static func canonical(_ value: JSON) -> [UInt8] {
        var writer = JSONWriter(canonical: true)
        try! writer.write(value)  // only `compact` refuses anything
        return writer.text
    }

    private init(canonical: Bool) {
        self.canonical = canonical
    }

    private mutating func write(_ value: JSON) throws {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .integer(let value): append(String(value))
        case .number(let value):
            guard canonical || value.isFinite else { throw MobileDetError("\(value) is not a number of JSON") }
            append(canonical ? pythonText(value) : value.description)
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
            for (index, member) in (canonical ? sorted(members) : members).enumerated() {
                separate(index)
                quote(member.name)
                append(canonical ? ": " : ":")
                try write(member.value)
            }
            append("}")
        }
    }

    private mutating func separate(_ index: Int) {
        if index > 0 { append(canonical ? ", " : ",") }
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
            case _ where scalar.value < 0x20 || (canonical && scalar.value > 0x7E):
                for unit in String(Character(scalar)).utf16 { append("\\u" + hexadecimal(unit)) }
            default: append(String(Character(scalar)))
            }
        }
        append("\"")
    }
}

/// Fields in the order of their names; of those that repeat only the last one, as in a Python dict.
private func sorted(_ members: [JSON.Member]) -> [JSON.Member] {
    var kept: [JSON.Member] = []
    for member in members {
        kept.removeAll { sameText($0.name, member.name) }
        kept.append(member)
    }
    return kept.sorted { precedes($0.name, $1.name) }
}

private func hexadecimal(_ unit: UInt16) -> String {
    let digits = String(unit, radix: 16)
    return String(repeating: "0", count: 4 - digits.count) + digits
}

/// A number as Python's `repr` writes it: the shortest digits that give it back, with an exponent below 1e-4 and from 1e16.
func pythonText(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
    if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
    // Swift's digits are the shortest ones too, only laid out by other rules
    let parts = value.magnitude.description.split(separator: "e")
    let mantissa = parts[0].split(separator: ".")
    let whole = String(mantissa[0]), fraction = mantissa.count > 1 && mantissa[1] != "0" ? String(mantissa[1]) : ""
    var point = whole.count + (parts.count > 1 ? Int(parts[1])! : 0)  // digits before the decimal point
    var digits = whole + fraction
    let zeros = digits.prefix { $0 == "0" }.count
    digits.removeFirst(zeros)
    point -= zeros
    while digits.count > 1, digits.last == "0" { digits.removeLast() }
    let sign = value < 0 ? "-" : ""
    if point < -3 || point > 16 {
        let exponent = point - 1
        let tail = digits.dropFirst()
        let shown = abs(exponent) < 10 ? "0\(abs(exponent))" : "\(abs(exponent))"
        return sign + digits.prefix(1) + (tail.isEmpty ? "" : "." + tail) + "e" + (exponent < 0 ? "-" : "+") + shown
    }
    if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
    if point >= digits.count { return sign + digits + String(repeating: "0", count: point - digits.count) + ".0" }
    return sign + digits.prefix(point) + "." + digits.dropFirst(point)
}
