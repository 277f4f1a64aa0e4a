@_exported import CoreGraphics

// Of Foundation on Apple's systems, which Linux has not.

public final class NSKeyValueObservation: NSObject {}

public struct NSKeyValueObservingOptions: OptionSet, Sendable {
    public let rawValue: UInt
    public init(rawValue: UInt) { self.rawValue = rawValue }
    public static let new = NSKeyValueObservingOptions(rawValue: 1), initial = NSKeyValueObservingOptions(rawValue: 4)
}

public struct NSKeyValueObservedChange<Value> {}

public protocol KeyValueObserved {}

extension KeyValueObserved {
    public func observe<Value>(
        _ keyPath: KeyPath<Self, Value>, options: NSKeyValueObservingOptions = [],
        changeHandler: @escaping @Sendable (Self, NSKeyValueObservedChange<Value>) -> Void
    ) -> NSKeyValueObservation { fatalError() }
}

extension URL {
    public static var cachesDirectory: URL { fatalError() }

    public static var documentsDirectory: URL { fatalError() }
}

open class CALayer: NSObject {}

@MainActor open class UIView {
    public init() {}

    open class var layerClass: AnyClass { CALayer.self }

    public var layer: CALayer { fatalError() }
}

@MainActor public class UIApplication {
    public static let shared = UIApplication()

    public nonisolated class var openSettingsURLString: String { fatalError() }

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
