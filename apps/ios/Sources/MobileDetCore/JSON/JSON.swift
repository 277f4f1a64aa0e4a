/// A JSON value that distinguishes integers from other numbers and keeps the order of fields, unlike Foundation's decoder.
///
/// The agent protocol refuses `50.0` for an integer.
public enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([Member])

    /// A field of an object.
    public struct Member: Equatable, Sendable {
        public let name: String
        public let value: JSON

        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// The field with this name; the last one if it is repeated, nil if there is none or this is not an object.
    public subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { sameText($0.name, name) }?.value
    }

    public var integer: Int? {
        if case .integer(let value) = self { return value }
        return nil
    }

    /// Any number.
    public var number: Double? {
        switch self {
        case .integer(let value): return Double(value)
        case .number(let value): return value
        default: return nil
        }
    }

    public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    public var array: [JSON]? {
        if case .array(let values) = self { return values }
        return nil
    }

    public var members: [Member]? {
        if case .object(let members) = self { return members }
        return nil
    }
}

/// Whether two texts have the same code points; `==` treats composed and decomposed letters as equal.
func sameText(_ a: String, _ b: String) -> Bool {
    a.utf8.elementsEqual(b.utf8)
}

/// Whether `a` comes before `b` in the order of code points, which is the order of their UTF-8 bytes.
func precedes(_ a: String, _ b: String) -> Bool {
    a.utf8.lexicographicallyPrecedes(b.utf8)
}
