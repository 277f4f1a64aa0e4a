import Foundation

/// An error that a user can cause: one line that names the file or value, the reason, and what to do.
public struct MobileDetError: Error, Equatable, CustomStringConvertible, LocalizedError {
    public let message: String

    public init(_ message: String) {
        self.message = message
    }

    public var description: String { message }
    public var errorDescription: String? { message }
}
