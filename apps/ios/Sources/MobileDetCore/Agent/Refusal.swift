/// The reply to a request that cannot be served.
struct Refusal: Error, Equatable {
    /// HTTP status.
    let status: Int
    /// Code for programs; `apps/PROTOCOL.md` lists them.
    let code: String
    /// One line of text for the user.
    let message: String

    init(_ status: Int, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    static func badRequest(_ message: String) -> Refusal { Refusal(400, "bad_request", message) }

    init(_ interruption: Interruption) {
        self.init(409, interruption.rawValue, interruption.message)
    }
}
