#if canImport(CoreML)
    import CoreGraphics
    import Foundation
    import ImageIO
    import MobileDetCore

    extension RGBImage {
        /// Pixels that a picture may have at most, as many as Pillow takes.
        private static let maxPixels = 178_956_970

        /// Decode a picture file as it lies, without colour management.
        ///
        /// - Throws: `MobileDetError` with the reason when it cannot be decoded.
        public init(file: Data) throws {
            let options = [kCGImageSourceShouldCache: false] as CFDictionary
            guard let source = CGImageSourceCreateWithData(file as CFData, options),
                let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, options) as? [CFString: Any],
                let height = properties[kCGImagePropertyPixelHeight] as? Int,
                let width = properties[kCGImagePropertyPixelWidth] as? Int
            else { throw MobileDetError("it is not an image of a known format") }
            guard height * width <= Self.maxPixels else { throw MobileDetError("it has \(height) x \(width) pixels") }
            guard CGImageSourceGetStatusAtIndex(source, 0) == .statusComplete,
                let image = CGImageSourceCreateImageAtIndex(source, 0, options)
            else { throw MobileDetError("it is damaged or cut off") }
            try self.init(image)
        }

        /// The pixels of an image in its own colour space; grey becomes RGB, transparency is dropped.
        public init(_ image: CGImage) throws {
            let (height, width) = (image.height, image.width)
            let isGrey = image.colorSpace?.model == .monochrome
            // drawn into the space that it has, an image keeps its numbers
            let own = image.colorSpace.flatMap { [.rgb, .monochrome].contains($0.model) ? $0 : nil }
            let space = own ?? CGColorSpaceCreateDeviceRGB()
            let channels = isGrey ? 1 : 4
            var drawn = [UInt8](repeating: 0, count: height * width * channels)
            let alpha: CGImageAlphaInfo = isGrey ? .none : .noneSkipLast
            let isDone = drawn.withUnsafeMutableBytes { memory in
                guard
                    let context = CGContext(
                        data: memory.baseAddress, width: width, height: height, bitsPerComponent: 8,
                        bytesPerRow: width * channels, space: space, bitmapInfo: alpha.rawValue)
                else { return false }
                context.interpolationQuality = .none
                context.setBlendMode(.copy)
                context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
                return true
            }
            guard isDone else { throw MobileDetError("its colours cannot be read") }
            let pixels = [UInt8](unsafeUninitializedCapacity: height * width * 3) { output, count in
                for pixel in 0..<height * width {
                    for channel in 0..<3 {
                        output[3 * pixel + channel] = drawn[channels * pixel + (isGrey ? 0 : channel)]
                    }
                }
                count = height * width * 3
            }
            self.init(height: height, width: width, pixels: pixels)
        }
    }
#endif
