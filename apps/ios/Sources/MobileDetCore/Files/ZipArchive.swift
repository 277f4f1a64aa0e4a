import CZlib
import Foundation

/// A zip file on disk (APPNOTE 6.3.10: stored and deflated entries, zip64, no encryption).
struct ZipArchive {
    /// An entry of the central directory.
    struct Entry {
        let name: String
        let method: Int
        let crc: UInt32
        let packedBytes: Int
        /// Declared size; no more than this is ever written.
        let bytes: Int
        let offset: Int
        let isLink: Bool
        let isEncrypted: Bool

        var isFolder: Bool { name.hasSuffix("/") }
    }

    private static let block = 1 << 18
    private static let maxCommentLength = 65_535

    let entries: [Entry]
    /// Declared sizes of all entries together.
    var unpackedBytes: Int {
        entries.reduce(0) { total, entry in
            let (sum, overflows) = total.addingReportingOverflow(entry.bytes)
            return overflows ? .max : sum
        }
    }

    private let url: URL
    private let fileBytes: Int

    /// Read the directory of a zip file.
    ///
    /// - Throws: `MobileDetError` if it is not a zip file, or is damaged.
    init(_ url: URL) throws {
        self.url = url
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        fileBytes = Int(try handle.seekToEnd())
        let reader = RecordReader(handle: handle, fileBytes: fileBytes)
        let tailBytes = min(fileBytes, 22 + Self.maxCommentLength)
        let tail = try reader.record(at: fileBytes - tailBytes, count: tailBytes)
        guard let end = tail.lastIndex(of: 0x0605_4b50) else {
            throw MobileDetError("not a zip file: it has no directory")
        }
        var (count, size, start) = (tail.u16(end + 10), tail.u32(end + 12), tail.u32(end + 16))
        let locator = fileBytes - tailBytes + end - 20
        if count == 0xFFFF || size == 0xFFFF_FFFF || start == 0xFFFF_FFFF, locator >= 0 {
            let found = try reader.record(at: locator, count: 20)
            guard found.u32(0) == 0x0706_4b50 else { throw MobileDetError("damaged zip file: no zip64 directory") }
            let record = try reader.record(at: try found.u64(8), count: 56)
            guard record.u32(0) == 0x0606_4b50 else { throw MobileDetError("damaged zip file: no zip64 directory") }
            (count, size, start) = (try record.u64(32), try record.u64(40), try record.u64(48))
        }
        let directory = try reader.record(at: start, count: size)
        var entries: [Entry] = []
        var position = 0
        while entries.count < count {
            let (entry, length) = try Self.entry(directory, at: position)
            entries.append(entry)
            position += length
        }
        self.entries = entries
    }

    /// Write an entry's content to a new file, and verify its checksum.
    ///
    /// - Throws: `MobileDetError` if it is damaged or its format is unknown; `StorageFull` if the storage is full.
    func extract(_ entry: Entry, to target: URL) throws {
        guard !entry.isEncrypted, entry.method == 0 || entry.method == 8 else {
            throw MobileDetError("\(entry.name) is encrypted or compressed by an unknown method")
        }
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        let reader = RecordReader(handle: handle, fileBytes: fileBytes)
        let header = try reader.record(at: entry.offset, count: 30)
        guard header.u32(0) == 0x0403_4b50 else { throw MobileDetError("\(entry.name) is not where the zip file says") }
        var source = PackedSource(
            handle: handle, position: entry.offset + 30 + header.u16(26) + header.u16(28), left: entry.packedBytes)
        guard source.position + source.left <= fileBytes else { throw MobileDetError("\(entry.name) is cut off") }
        let output = try OutputFile(target)
        defer { output.close() }
        var written = Written(name: entry.name, limit: entry.bytes, file: output)
        if entry.method == 0 {
            while let data = try source.next(Self.block) { try data.withUnsafeBytes { try written.append($0) } }
        } else {
            try inflate(&source, into: &written)
        }
        guard written.count == entry.bytes, written.crc == entry.crc else {
            throw MobileDetError("\(entry.name) is damaged: its checksum differs")
        }
    }

    private func inflate(_ source: inout PackedSource, into written: inout Written) throws {
        var stream = z_stream()
        guard mobiledet_inflate_init(&stream) == Z_OK else { throw MobileDetError("no memory to unpack a zip file") }
        defer { inflateEnd(&stream) }
        var output = [UInt8](repeating: 0, count: Self.block)
        var status = Z_OK
        while status != Z_STREAM_END, var data = try source.next(Self.block) {
            try data.withUnsafeMutableBytes { packed in
                stream.next_in = packed.bindMemory(to: UInt8.self).baseAddress
                stream.avail_in = uInt(packed.count)
                repeat {
                    let count = output.withUnsafeMutableBufferPointer { buffer in
                        stream.next_out = buffer.baseAddress
                        stream.avail_out = uInt(buffer.count)
                        status = mobiledet_inflate(&stream)
                        return buffer.count - Int(stream.avail_out)
                    }
                    guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
                        throw MobileDetError("\(written.name) is damaged: it cannot be unpacked")
                    }
                    try output.withUnsafeBytes { try written.append(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
                } while status == Z_OK && stream.avail_out == 0 || status == Z_OK && stream.avail_in > 0
            }
        }
        guard status == Z_STREAM_END else { throw MobileDetError("\(written.name) is damaged: it ends early") }
    }

    /// The entry whose record starts at a position, and the length of the record.
    private static func entry(_ directory: Record, at start: Int) throws -> (Entry, Int) {
        guard directory.holds(start, 46), directory.u32(start) == 0x0201_4b50 else {
            throw MobileDetError("damaged zip file: its directory is cut off")
        }
        let (nameBytes, extraBytes) = (directory.u16(start + 28), directory.u16(start + 30))
        let length = 46 + nameBytes + extraBytes + directory.u16(start + 32)
        guard directory.holds(start, length) else { throw MobileDetError("damaged zip file: its directory is cut off") }
        guard let name = String(bytes: directory.bytes[start + 46..<start + 46 + nameBytes], encoding: .utf8) else {
            throw MobileDetError("damaged zip file: a name is not UTF-8")
        }
        var (packed, size, offset) = (directory.u32(start + 20), directory.u32(start + 24), directory.u32(start + 42))
        var extra = start + 46 + nameBytes
        let extraEnd = extra + extraBytes
        while extra + 4 <= extraEnd {
            let (kind, count) = (directory.u16(extra), directory.u16(extra + 2))
            if kind == 1, extra + 4 + count <= extraEnd {
                var field = extra + 4
                func large(_ value: Int) throws -> Int {
                    guard value == 0xFFFF_FFFF else { return value }
                    guard field + 8 <= extra + 4 + count else {
                        throw MobileDetError("damaged zip file: a size is missing")
                    }
                    defer { field += 8 }
                    return try directory.u64(field)
                }
                size = try large(size)
                packed = try large(packed)
                offset = try large(offset)
            }
            extra += 4 + count
        }
        let isUnix = directory.u16(start + 4) >> 8 == 3
        let mode = directory.u32(start + 38) >> 16
        return (
            Entry(
                name: name, method: directory.u16(start + 10), crc: UInt32(directory.u32(start + 16)),
                packedBytes: packed, bytes: size, offset: offset, isLink: isUnix && mode & 0o170000 == 0o120000,
                isEncrypted: directory.u16(start + 8) & 1 == 1),
            length
        )
    }
}

/// Bytes of a zip file, with little-endian numbers.
private struct Record {
    let bytes: [UInt8]

    func holds(_ start: Int, _ count: Int) -> Bool { start + count <= bytes.count }
    func u16(_ at: Int) -> Int { Int(bytes[at]) | Int(bytes[at + 1]) << 8 }
    func u32(_ at: Int) -> Int { u16(at) | u16(at + 2) << 16 }

    func u64(_ at: Int) throws -> Int {
        guard bytes[at + 7] < 0x40 else { throw MobileDetError("damaged zip file: a size is impossible") }
        return u32(at) | u32(at + 4) << 32
    }

    /// The last position where a record with this signature may start.
    func lastIndex(of signature: Int) -> Int? {
        stride(from: bytes.count - 22, through: 0, by: -1).first { u32($0) == signature }
    }
}

private struct RecordReader {
    let handle: FileHandle
    let fileBytes: Int

    func record(at start: Int, count: Int) throws -> Record {
        guard start >= 0, count >= 0, start <= fileBytes - count else {
            throw MobileDetError("damaged zip file: it is cut off")
        }
        try handle.seek(toOffset: UInt64(start))
        let data = try handle.read(upToCount: count) ?? Data()
        guard data.count == count else { throw MobileDetError("damaged zip file: it is cut off") }
        return Record(bytes: Array(data))
    }
}

/// The compressed bytes of one entry, block by block.
private struct PackedSource {
    let handle: FileHandle
    var position: Int
    var left: Int

    mutating func next(_ block: Int) throws -> Data? {
        guard left > 0 else { return nil }
        try handle.seek(toOffset: UInt64(position))
        guard let data = try autoreleased({ try handle.read(upToCount: min(block, left)) }), !data.isEmpty else {
            return nil
        }
        position += data.count
        left -= data.count
        return data
    }
}

/// Writes the unpacked bytes of an entry, and checks their number.
private struct Written {
    let name: String
    let limit: Int
    let file: OutputFile
    var count = 0
    var crc: UInt32 = 0

    init(name: String, limit: Int, file: OutputFile) {
        (self.name, self.limit, self.file) = (name, limit, file)
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        guard !bytes.isEmpty else { return }
        count += bytes.count
        guard count <= limit else { throw MobileDetError("\(name) unpacks to more than its declared size") }
        crc = UInt32(crc32(uLong(crc), bytes.bindMemory(to: UInt8.self).baseAddress, uInt(bytes.count)))
        try file.write(bytes)
    }
}
