/// Splits the body of a request into images or model inputs.
enum Batch {
    private static let lengthBytes = 4

    /// The image files of a body; each is preceded by its length in four bytes, big-endian.
    static func images(_ body: [UInt8]) throws -> [ArraySlice<UInt8>] {
        var images: [ArraySlice<UInt8>] = []
        var start = 0
        while start < body.count {
            let begin = start + lengthBytes
            let length = body[start..<min(begin, body.count)].reduce(0) { $0 << 8 | Int($1) }
            guard begin + length <= body.count else {
                throw Refusal.badRequest("image \(images.count) of the batch extends beyond the end of the body")
            }
            images.append(body[begin..<begin + length])
            start = begin + length
        }
        guard !images.isEmpty else { throw Refusal.badRequest("the batch holds no image") }
        return images
    }

    /// The inputs of a body, each height x width x 3 bytes.
    static func inputs(_ body: [UInt8], height: Int, width: Int) throws -> [ArraySlice<UInt8>] {
        let size = height * width * 3
        guard !body.isEmpty, body.count % size == 0 else {
            throw Refusal.badRequest("\(body.count) bytes are not a whole number of inputs of \(height) x \(width) x 3")
        }
        return stride(from: 0, to: body.count, by: size).map { body[$0..<$0 + size] }
    }
}
