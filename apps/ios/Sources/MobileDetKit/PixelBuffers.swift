#if canImport(CoreML)
    import CoreVideo
    import Foundation
    import MobileDetCore

    /// A buffer of 32-bit BGRA pixels that every unit can read.
    func newPixelBuffer(height: Int, width: Int) throws -> CVPixelBuffer {
        let attributes = [kCVPixelBufferIOSurfacePropertiesKey: [:] as [String: String]] as CFDictionary
        var buffer: CVPixelBuffer?
        let status = CVPixelBufferCreate(nil, width, height, kCVPixelFormatType_32BGRA, attributes, &buffer)
        guard status == kCVReturnSuccess, let buffer else {
            throw MobileDetError("no memory for an image of \(height) x \(width) (status \(status))")
        }
        return buffer
    }

    extension CVPixelBuffer {
        /// Use the memory of a frame: `420f`, `420v` or `32BGRA`.
        func withFrame<Result>(_ use: (Frame) throws -> Result) throws -> Result {
            let format = CVPixelBufferGetPixelFormatType(self)
            let isFull = format == kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
            let isVideo = format == kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange
            guard isFull || isVideo || format == kCVPixelFormatType_32BGRA else {
                throw MobileDetError(
                    "a frame must be 420f, 420v or 32BGRA; set kCVPixelBufferPixelFormatTypeKey of the camera output")
            }
            CVPixelBufferLockBaseAddress(self, .readOnly)
            defer { CVPixelBufferUnlockBaseAddress(self, .readOnly) }
            let (height, width) = (CVPixelBufferGetHeight(self), CVPixelBufferGetWidth(self))
            if format == kCVPixelFormatType_32BGRA {
                let stride = CVPixelBufferGetBytesPerRow(self)
                let bytes = try memory(CVPixelBufferGetBaseAddress(self), stride * height)
                let plane = Frame.Plane(bytes, rowStride: stride, pixelStride: 4)
                return try use(Frame(height: height, width: width, packed: plane, red: 2, green: 1, blue: 0))
            }
            let (y, uv) = (try planeMemory(0), try planeMemory(1))
            let chroma = (0..<2).map { offset in
                Frame.Plane(
                    UnsafeBufferPointer(rebasing: uv.bytes[offset...]), rowStride: uv.rowStride, pixelStride: 2)
            }
            let luma = Frame.Plane(y.bytes, rowStride: y.rowStride, pixelStride: 1)
            let matrix = try attachedMatrix(isFull: isFull)
            return try use(
                Frame(height: height, width: width, y: luma, u: chroma[0], v: chroma[1], matrix: matrix))
        }

        private func planeMemory(_ number: Int) throws -> (bytes: UnsafeBufferPointer<UInt8>, rowStride: Int) {
            let stride = CVPixelBufferGetBytesPerRowOfPlane(self, number)
            let count = stride * CVPixelBufferGetHeightOfPlane(self, number)
            return (try memory(CVPixelBufferGetBaseAddressOfPlane(self, number), count), stride)
        }

        private func memory(_ address: UnsafeMutableRawPointer?, _ count: Int) throws -> UnsafeBufferPointer<UInt8> {
            guard let address else { throw MobileDetError("a frame has no pixels") }
            return UnsafeBufferPointer(start: address.assumingMemoryBound(to: UInt8.self), count: count)
        }

        /// The matrix that is attached to the frame; BT.601 if there is none.
        private func attachedMatrix(isFull: Bool) throws -> YUVMatrix {
            let attached = CVBufferCopyAttachment(self, kCVImageBufferYCbCrMatrixKey, nil) as? String
            if attached == nil || attached == kCVImageBufferYCbCrMatrix_ITU_R_601_4 as String {
                return isFull ? .bt601Full : .bt601Video
            }
            guard attached == kCVImageBufferYCbCrMatrix_ITU_R_709_2 as String else {
                throw MobileDetError("a frame's colours are in \(attached ?? ""), not BT.601 or BT.709; request 32BGRA")
            }
            return isFull ? .bt709Full : .bt709Video
        }
    }

    extension RGBImage {
        /// Copy into a BGRA buffer of the same size.
        func copy(to buffer: CVPixelBuffer) throws {
            guard CVPixelBufferGetHeight(buffer) == height, CVPixelBufferGetWidth(buffer) == width else {
                throw MobileDetError("an input of \(height) x \(width) is not of the model's size")
            }
            CVPixelBufferLockBaseAddress(buffer, [])
            defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
            guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw MobileDetError("a buffer has no memory") }
            let stride = CVPixelBufferGetBytesPerRow(buffer)
            pixels.withUnsafeBufferPointer { source in
                for y in 0..<height {
                    let row = base.advanced(by: y * stride).assumingMemoryBound(to: UInt8.self)
                    for x in 0..<width {
                        let pixel = 3 * (y * width + x)
                        (row[4 * x], row[4 * x + 1]) = (source[pixel + 2], source[pixel + 1])
                        (row[4 * x + 2], row[4 * x + 3]) = (source[pixel], 255)
                    }
                }
            }
        }
    }
#endif
