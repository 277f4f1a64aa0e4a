@_exported import CoreGraphics

open class CALayer {}

@MainActor open class UIView {
    public init() {}

    open class var layerClass: AnyClass { CALayer.self }

    public var layer: CALayer { fatalError() }
}

@MainActor public final class UIApplication {
    public static let shared = UIApplication()

    public enum State { case active, inactive, background }
    public var applicationState: State { fatalError() }

    public var isIdleTimerDisabled = false
}

public final class UIImage: @unchecked Sendable {
    public init?(data: Data) { return nil }
    public init(cgImage: CGImage) {}

    public var size: CGSize { fatalError() }

    public var scale: CGFloat { 1 }
    public var cgImage: CGImage? { nil }

    public func draw(in: CGRect) {}
}

public final class UIGraphicsImageRendererFormat {
    public init() {}

    public var scale: CGFloat = 1
}

public final class UIGraphicsImageRendererContext {}

public final class UIGraphicsImageRenderer {
    public init(size: CGSize, format: UIGraphicsImageRendererFormat) {}
    public func image(actions: (UIGraphicsImageRendererContext) -> Void) -> UIImage { fatalError() }
}

extension URL {
    public static var cachesDirectory: URL { fatalError() }

    public static var documentsDirectory: URL { fatalError() }
}

@MainActor
public final class UIDevice {
    public enum BatteryState: Int {
        case unknown, unplugged, charging, full
    }

    public static let current = UIDevice()
    public var isBatteryMonitoringEnabled = false
    public var batteryLevel: Float { fatalError() }
    public var batteryState: BatteryState { fatalError() }
}
