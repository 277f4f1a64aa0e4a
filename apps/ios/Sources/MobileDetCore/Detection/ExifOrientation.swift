extension Orientation {
    /// The EXIF orientation of a JPEG or PNG file; upright if it has none or an invalid one.
    public init(ofFile file: some Collection<UInt8>) {
        let bytes = Array(file)
        let tag = exifBlock(bytes).flatMap(orientationTag)
        self = tag.flatMap(Orientation.init(rawValue:)) ?? .upright
    }
}

/// The TIFF structure with the EXIF tags of a JPEG (segment APP1) or a PNG (chunk eXIf).
private func exifBlock(_ file: [UInt8]) -> ArraySlice<UInt8>? {
    let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    if file.starts(with: pngSignature) {
        var position = 8
        while position + 12 <= file.count {
            let length = file[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
            guard position + 12 + length <= file.count else { return nil }
            if file[position + 4..<position + 8].elementsEqual("eXIf".utf8) {
                return file[position + 8..<position + 8 + length]
            }
            position += 12 + length
        }
        return nil
    }
    guard file.starts(with: [0xFF, 0xD8]) else { return nil }
    var position = 2
    while position + 4 <= file.count, file[position] == 0xFF, file[position + 1] != 0xDA {
        let marker = file[position + 1]
        if marker == 0xFF {  // a fill byte
            position += 1
            continue
        }
        let length = Int(file[position + 2]) << 8 | Int(file[position + 3])
        guard length >= 2, position + 2 + length <= file.count else { return nil }
        let segment = file[position + 4..<position + 2 + length]
        if marker == 0xE1, segment.starts(with: "Exif\0\0".utf8) { return segment.dropFirst(6) }
        position += 2 + length
    }
    return nil
}

/// The value of tag 0x0112 in the first directory of a TIFF structure.
private func orientationTag(_ tiff: ArraySlice<UInt8>) -> Int? {
    let bytes = Array(tiff)
    guard bytes.count >= 8 else { return nil }
    let isLittle = bytes.starts(with: "II".utf8)
    guard isLittle || bytes.starts(with: "MM".utf8) else { return nil }
    func number(_ start: Int, _ count: Int) -> Int? {
        guard start >= 0, start + count <= bytes.count else { return nil }
        let field = bytes[start..<start + count]
        return (isLittle ? Array(field.reversed()) : Array(field)).reduce(0) { $0 << 8 | Int($1) }
    }
    guard number(2, 2) == 42, let directory = number(4, 4), let count = number(directory, 2) else { return nil }
    for entry in 0..<count {
        let start = directory + 2 + 12 * entry
        guard let tag = number(start, 2), let kind = number(start + 2, 2) else { return nil }
        if tag == 0x0112 { return kind == 3 ? number(start + 8, 2) : kind == 4 ? number(start + 8, 4) : nil }
    }
    return nil
}
