import Foundation

/// The device's storage is full.
struct StorageFull: Error {}

/// A new file that is written from its start to its end.
final class OutputFile {
    private let descriptor: Int32
    private let path: String
    private var isOpen = true

    /// - Throws: `StorageFull`, or `MobileDetError` when the file cannot be made.
    init(_ url: URL) throws {
        path = url.path
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw writeProblem(path) }
    }

    deinit { close() }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var left = bytes
        while !left.isEmpty {
            let count = systemWrite(descriptor, left)
            if count < 0 {
                if errno == EINTR { continue }
                throw writeProblem(path)
            }
            left = UnsafeRawBufferPointer(rebasing: left[count...])
        }
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        _ = systemClose(descriptor)
    }
}

/// The error that `errno` tells after a file could not be written.
func writeProblem(_ path: String) -> any Error {
    let code = errno
    if code == ENOSPC || code == EDQUOT { return StorageFull() }
    return MobileDetError("cannot write \(path): \(String(cString: strerror(code)).lowercased())")
}

// `write` and `close` are methods of `OutputFile` too.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    write(descriptor, bytes.baseAddress, bytes.count)
}
