import CImages
import MobileDetCore

/// Decode a JPEG or PNG file with libjpeg-turbo or libpng, without turning it.
///
/// - Throws: `MobileDetError` if it cannot be decoded.
func decodePicture(_ file: [UInt8]) throws -> RGBImage {
    if file.starts(with: [0xFF, 0xD8]) { return try decodeJPEG(file) }
    if file.starts(with: [0x89, 0x50, 0x4E, 0x47]) { return try decodePNG(file) }
    throw MobileDetError("it is not an image of a known format")
}

private func decodeJPEG(_ file: [UInt8]) throws -> RGBImage {
    guard let decoder = tjInitDecompress() else { throw MobileDetError("no memory for an image") }
    defer { tjDestroy(decoder) }
    var (width, height, subsampling, colours) = (Int32(0), Int32(0), Int32(0), Int32(0))
    let size = UInt(file.count)
    guard tjDecompressHeader3(decoder, file, size, &width, &height, &subsampling, &colours) == 0 else {
        throw MobileDetError(String(cString: tjGetErrorStr2(decoder)).lowercased())
    }
    var pixels = [UInt8](repeating: 0, count: Int(width) * Int(height) * 3)
    guard tjDecompress2(decoder, file, size, &pixels, width, 0, height, Int32(TJPF_RGB.rawValue), 0) == 0 else {
        throw MobileDetError(String(cString: tjGetErrorStr2(decoder)).lowercased())
    }
    return RGBImage(height: Int(height), width: Int(width), pixels: pixels)
}

private func decodePNG(_ file: [UInt8]) throws -> RGBImage {
    var image = png_image()
    image.version = png_uint_32(PNG_IMAGE_VERSION)
    defer { png_image_free(&image) }
    guard png_image_begin_read_from_memory(&image, file, file.count) != 0 else {
        throw MobileDetError("it is a damaged PNG file")
    }
    image.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
    let (width, height) = (Int(image.width), Int(image.height))
    var pixels = [UInt8](repeating: 0, count: width * height * 3)
    guard png_image_finish_read(&image, nil, &pixels, 0, nil) != 0 else {
        throw MobileDetError("it is a damaged PNG file")
    }
    return RGBImage(height: height, width: width, pixels: pixels)
}
