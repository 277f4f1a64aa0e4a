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

    extension RGBImage {
        /// The pixels of a BGRA buffer.
        public init(_ buffer: CVPixelBuffer) throws {
            guard CVPixelBufferGetPixelFormatType(buffer) == kCVPixelFormatType_32BGRA else {
                throw MobileDetError("a frame must be BGRA; set kCVPixelBufferPixelFormatTypeKey of the camera output")
            }
            CVPixelBufferLockBaseAddress(buffer, .readOnly)
            defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
            let (height, width) = (CVPixelBufferGetHeight(buffer), CVPixelBufferGetWidth(buffer))
            guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw MobileDetError("a frame has no pixels") }
            let stride = CVPixelBufferGetBytesPerRow(buffer)
            let pixels = [UInt8](unsafeUninitializedCapacity: height * width * 3) { output, count in
                var target = 0
                for y in 0..<height {
                    let row = base.advanced(by: y * stride).assumingMemoryBound(to: UInt8.self)
                    for x in 0..<width {
                        (output[target], output[target + 1], output[target + 2]) = (
                            row[4 * x + 2], row[4 * x + 1], row[4 * x]
                        )
                        target += 3
                    }
                }
                count = target
            }
            self.init(height: height, width: width, pixels: pixels)
        }

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
