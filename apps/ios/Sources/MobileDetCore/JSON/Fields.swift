/// The fields of a JSON object, read with checks; error messages name the source.
struct Fields {
    let value: JSON
    let source: String

    init(_ value: JSON, source: String) {
        self.value = value
        self.source = source
    }

    func string(_ name: String) throws -> String { try field(name, "a text", \.string) }
    func integer(_ name: String) throws -> Int { try field(name, "an integer", \.integer) }
    func number(_ name: String) throws -> Double { try field(name, "a number", \.number) }
    func array(_ name: String) throws -> [JSON] { try field(name, "a list", \.array) }

    /// A text whose number of characters is in a range.
    func string(_ name: String, characters range: ClosedRange<Int>) throws -> String {
        let text = try string(name)
        try require(range.contains(text.unicodeScalars.count), "\(name) does not have \(range) characters")
        return text
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int {
        let value = try integer(name)
        try require(range.contains(value), "\(name) is \(value), not in \(range)")
        return value
    }

    func number(_ name: String, in range: ClosedRange<Double>) throws -> Double {
        let value = try number(name)
        try require(range.contains(value), "\(name) is \(value), not in \(range)")
        return value
    }

    func numbers(_ name: String) throws -> [Double] {
        try array(name).map { item in
            guard let number = item.number else { throw problem("\(name) contains something other than numbers") }
            return number
        }
    }

    /// A case of an enumeration; `older` is the value for older files, which lack the field.
    func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, older: Choice? = nil) throws -> Choice
    where Choice.RawValue == String {
        if let older, value[name] == nil { return older }
        let text = try string(name)
        guard let known = Choice(rawValue: text) else {
            let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw problem("\(name) '\(text.prefix(40))' is not one of \(names); use a newer app")
        }
        return known
    }

    func object(_ name: String) throws -> Fields {
        let members = try field(name, "an object", \.members)
        return Fields(.object(members), source: source)
    }

    func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
        guard condition else { throw problem(message()) }
    }

    /// Refuse unknown fields: ignoring one could change the meaning of the others.
    func refuseOthers(than known: Set<String>) throws {
        guard let members = value.members else { throw problem("it is not an object") }
        for member in members where !known.contains(member.name) {
            throw problem("field \(member.name.prefix(40)) is unknown")
        }
    }

    func problem(_ message: String) -> MobileDetError { MobileDetError("\(source): \(message)") }

    private func field<Value>(_ name: String, _ kind: String, _ read: (JSON) -> Value?) throws -> Value {
        guard let found = value[name] else { throw problem("field \(name) is missing") }
        guard let value = read(found) else { throw problem("\(name) is not \(kind)") }
        return value
    }
}
