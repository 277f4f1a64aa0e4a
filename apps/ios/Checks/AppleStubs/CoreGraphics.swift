@_exported import Foundation

public typealias CFString = String
public typealias CFData = Data
public typealias CFDictionary = [AnyHashable: Any]

public enum CGColorSpaceModel: Int32 {
    case unknown, monochrome, rgb, cmyk, lab, deviceN, indexed, pattern
}

public final class CGColorSpace: @unchecked Sendable {
    public var model: CGColorSpaceModel { fatalError() }
}

public func CGColorSpaceCreateDeviceRGB() -> CGColorSpace { fatalError() }

public enum CGImageAlphaInfo: UInt32 {
    case none, premultipliedLast, premultipliedFirst, last, first, noneSkipLast, noneSkipFirst, alphaOnly
}

public enum CGInterpolationQuality: Int32 {
    case `default`, none, low, medium, high
}

public enum CGBlendMode: Int32 {
    case normal = 0
    case copy = 17
}

public final class CGImage: @unchecked Sendable {
    public var width: Int { fatalError() }
    public var height: Int { fatalError() }
    public var colorSpace: CGColorSpace? { fatalError() }
}

public final class CGContext {
    public init?(
        data: UnsafeMutableRawPointer?, width: Int, height: Int, bitsPerComponent: Int, bytesPerRow: Int,
        space: CGColorSpace, bitmapInfo: UInt32
    ) { fatalError() }
    public var interpolationQuality: CGInterpolationQuality {
        get { fatalError() }
        set {}
    }
    public func setBlendMode(_ mode: CGBlendMode) {}
    public func draw(_ image: CGImage, in rect: CGRect) {}
}
