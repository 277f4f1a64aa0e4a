import Foundation

/// The device's storage is full.
struct StorageFull: Error {}

/// A new file that is written sequentially.
final class OutputFile {
    private let descriptor: Int32
    private let path: String
    private var isOpen = true

    /// - Throws: `StorageFull`, or `MobileDetError` if the file cannot be created.
    init(_ url: URL) throws {
        path = url.path
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw writeProblem(path) }
    }

    deinit { close() }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var remaining = bytes
        while !remaining.isEmpty {
            let count = systemWrite(descriptor, remaining)
            if count < 0 {
                if errno == EINTR { continue }
                throw writeProblem(path)
            }
            remaining = UnsafeRawBufferPointer(rebasing: remaining[count...])
        }
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        _ = systemClose(descriptor)
    }
}

/// The error for `errno` after a failed write.
func writeProblem(_ path: String) -> any Error {
    let code = errno
    if code == ENOSPC || code == EDQUOT { return StorageFull() }
    return MobileDetError("cannot write \(path): \(String(cString: strerror(code)).lowercased())")
}

// In `OutputFile`, `write` and `close` would be its methods.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    write(descriptor, bytes.baseAddress, bytes.count)
}
