import Foundation

/// The peer has disconnected, or has not responded in time.
struct ConnectionLost: Error {}

/// A connected or listening TCP socket. (POSIX sockets: Linux and Apple's systems differ in a few names.)
final class Socket: @unchecked Sendable {
    private let descriptor: Int32
    private let sendSeconds: Int
    private let isOpen = Locked(true)

    private init(_ descriptor: Int32, sendSeconds: Int = 60) {
        self.descriptor = descriptor
        self.sendSeconds = sendSeconds
    }

    deinit { close() }

    /// Listen on 127.0.0.1, which is not reachable from outside this device.
    ///
    /// - Parameter port: port to listen on; 0 chooses a free one.
    /// - Throws: `MobileDetError` if the port is in use.
    static func listening(port: UInt16) throws -> Socket {
        let socket = Socket(systemSocket())
        socket.setOption(SOL_SOCKET, SO_REUSEADDR, Int32(1))
        let bound = withLoopback(port) { bind(socket.descriptor, $0, $1) }
        guard bound == 0, listen(socket.descriptor, 16) == 0 else {
            throw MobileDetError(
                "cannot listen on 127.0.0.1 port \(port): \(String(cString: strerror(errno)).lowercased())")
        }
        return socket
    }

    /// Connect to a port of this device.
    static func connected(port: UInt16) throws -> Socket {
        let socket = Socket(systemSocket())
        guard withLoopback(port, { connect(socket.descriptor, $0, $1) }) == 0 else { throw ConnectionLost() }
        return socket
    }

    /// The local port of this socket.
    var port: UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// Accept the next connection; nil if there was none within a quarter of a second.
    ///
    /// - Throws: `ConnectionLost` if this socket was closed.
    func accept(readSeconds: Int, sendSeconds: Int) throws -> Socket? {
        guard try isReadable(milliseconds: 250) else { return nil }
        let accepted = systemAccept(descriptor)
        guard accepted >= 0 else {
            if [EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE].contains(errno) { return nil }
            throw ConnectionLost()
        }
        let socket = Socket(accepted, sendSeconds: sendSeconds)
        socket.setOption(SOL_SOCKET, SO_RCVTIMEO, timeval(tv_sec: readSeconds, tv_usec: 0))
        socket.setOption(SOL_SOCKET, SO_SNDTIMEO, timeval(tv_sec: sendSeconds, tv_usec: 0))
        #if canImport(Darwin)
            socket.setOption(IPPROTO_TCP, TCP_NODELAY, Int32(1))
            socket.setOption(SOL_SOCKET, SO_NOSIGPIPE, Int32(1))
        #else
            socket.setOption(Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1))
        #endif
        return socket
    }

    /// Read available bytes into a buffer; returns their number, 0 at the end of the stream.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count >= 0 { return count }
            if errno != EINTR { throw ConnectionLost() }
        }
    }

    /// Send all bytes. The peer must read each 64 KiB within the `sendSeconds` of `accept`.
    func write(_ bytes: [UInt8]) throws {
        #if canImport(Darwin)
            let flags: Int32 = 0
        #else
            let flags = Int32(MSG_NOSIGNAL)
        #endif
        try bytes.withUnsafeBytes { buffer in
            var remaining = UnsafeRawBufferPointer(buffer)
            let end = monotonicNs() + sendSeconds * 1_000_000_000 * (1 + (bytes.count >> 16))
            while !remaining.isEmpty {
                guard monotonicNs() < end else { throw ConnectionLost() }
                let count = send(descriptor, remaining.baseAddress, remaining.count, flags)
                if count < 0 {
                    if errno == EINTR { continue }
                    throw ConnectionLost()
                }
                remaining = UnsafeRawBufferPointer(rebasing: remaining[count...])
            }
        }
    }

    /// Close the sending side, and read for a moment what the peer still sends: a connection that is closed with unread
    /// bytes is reset, and the peer may lose the reply.
    func finish(milliseconds: Int32 = 1000) {
        shutdown(descriptor, Int32(SHUT_WR))
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let end = monotonicNs() + Int(milliseconds) * 1_000_000
        while monotonicNs() < end, (try? isReadable(milliseconds: 100)) == true {
            guard let count = try? buffer.withUnsafeMutableBytes({ try read(into: $0) }), count > 0 else { return }
        }
    }

    /// Interrupt other threads' operations on this socket.
    func interrupt() {
        isOpen.with { if $0 { _ = shutdown(descriptor, Int32(SHUT_RDWR)) } }
    }

    func close() {
        isOpen.with { isOpen in
            if isOpen, descriptor >= 0 { _ = systemClose(descriptor) }
            isOpen = false
        }
    }

    private func isReadable(milliseconds: Int32) throws -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let count = poll(&entry, 1, milliseconds)
        if count < 0, errno != EINTR { throw ConnectionLost() }
        if entry.revents & Int16(POLLNVAL) != 0 { throw ConnectionLost() }
        return count > 0
    }

    private func setOption<Value>(_ level: Int32, _ name: Int32, _ value: Value) {
        withUnsafePointer(to: value) {
            _ = setsockopt(descriptor, level, name, $0, socklen_t(MemoryLayout<Value>.size))
        }
    }
}

/// Call `body` with the address of a port of 127.0.0.1.
private func withLoopback(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_in()
    let size = MemoryLayout<sockaddr_in>.size
    #if canImport(Darwin)
        address.sin_len = UInt8(size)
    #endif
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(size)) }
    }
}

// In `Socket`, the functions called below would be its methods.

private func systemSocket() -> Int32 {
    #if canImport(Darwin)
        socket(AF_INET, SOCK_STREAM, 0)
    #else
        socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #endif
}

private func systemAccept(_ descriptor: Int32) -> Int32 {
    accept(descriptor, nil, nil)
}

func systemClose(_ descriptor: Int32) -> Int32 {
    close(descriptor)
}
