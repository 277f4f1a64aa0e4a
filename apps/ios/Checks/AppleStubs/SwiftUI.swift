// What the app uses of SwiftUI. Views and modifiers are the fewest types that let its code be checked.

@_exported import UIKit
@_exported import Combine

@MainActor @preconcurrency
public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

extension Never: View { public var body: Never { return fatalError() } }

public protocol PrimitiveView: View where Body == Never {}

extension PrimitiveView { public var body: Never { return fatalError() } }

@resultBuilder
public struct ViewBuilder {
    public static func buildBlock() -> EmptyView { fatalError() }
    public static func buildBlock<each C: View>(_ c: repeat each C) -> TupleView { fatalError() }
    public static func buildExpression<C: View>(_ c: C) -> C { c }
    public static func buildBlock<C: View>(_ c: C) -> C { c }
    public static func buildIf<C: View>(_ c: C?) -> OptionalView<C> { fatalError() }
    public static func buildEither<A: View, B: View>(first: A) -> EitherView<A, B> { fatalError() }
    public static func buildEither<A: View, B: View>(second: B) -> EitherView<A, B> { fatalError() }
}

public struct EmptyView: PrimitiveView { public init() {} }

public struct TupleView: PrimitiveView {}

public struct OptionalView<C: View>: PrimitiveView {}

public struct EitherView<A: View, B: View>: PrimitiveView {}

public struct ModifiedView: PrimitiveView {}

@MainActor @preconcurrency
public protocol Scene {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
}

extension Never: Scene {}

@resultBuilder
public struct SceneBuilder { public static func buildBlock<C: Scene>(_ c: C) -> C { c } }

public struct WindowGroup: Scene {
    public init<C: View>(@ViewBuilder content: () -> C) {}

    public var body: Never { return fatalError() }
}

public struct ModifiedScene: Scene { public var body: Never { return fatalError() } }

extension Scene {
    public func onChange<V: Equatable>(of v: V, initial: Bool = false, _ a: @escaping (V, V) -> Void) -> ModifiedScene {
        fatalError()
    }
}

@MainActor @preconcurrency
public protocol App {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
    init()
}

extension App { public static func main() {} }

@propertyWrapper
public struct State<V> {
    public init(wrappedValue: V) { fatalError() }

    public init(initialValue: V) { fatalError() }
    public var wrappedValue: V {
        get { fatalError() }
        nonmutating set {}
    }

    public var projectedValue: Binding<V> { fatalError() }
}

extension State where V: ExpressibleByNilLiteral { public init() { fatalError() } }

@propertyWrapper @dynamicMemberLookup
public struct Binding<V> {
    public init() { fatalError() }
    public var wrappedValue: V {
        get { fatalError() }
        nonmutating set {}
    }

    public var projectedValue: Binding<V> { self }
    public subscript<S>(dynamicMember k: WritableKeyPath<V, S>) -> Binding<S> { fatalError() }
}

@propertyWrapper
public struct ObservedObject<O: ObservableObject> {
    public init(wrappedValue: O) { fatalError() }
    @MainActor public var wrappedValue: O { fatalError() }
    @MainActor public var projectedValue: EnvironmentObject<O>.Wrapper { fatalError() }
}

@propertyWrapper
public struct StateObject<O: ObservableObject> {
    public init(wrappedValue: @autoclosure @escaping () -> O) { fatalError() }
    @MainActor public var wrappedValue: O { fatalError() }
}

@propertyWrapper
public struct EnvironmentObject<O: ObservableObject> {
    public init() {}

    @MainActor public var wrappedValue: O { fatalError() }
    @MainActor public var projectedValue: Wrapper { fatalError() }
    @dynamicMemberLookup public struct Wrapper {
        public subscript<S>(dynamicMember k: ReferenceWritableKeyPath<O, S>) -> Binding<S> { fatalError() }
    }
}

public enum ScenePhase: Comparable { case background, inactive, active }

public struct OpenURLAction: Sendable {
    @MainActor @preconcurrency public func callAsFunction(_ url: URL) {}
}

public struct EnvironmentValues {
    public var scenePhase: ScenePhase { fatalError() }
    public var openURL: OpenURLAction { fatalError() }
}

@propertyWrapper
public struct Environment<V> {
    public init(_ k: KeyPath<EnvironmentValues, V>) {}

    public var wrappedValue: V { fatalError() }
}

public struct TabView<S: Hashable, C: View>: PrimitiveView {
    public init(selection: Binding<S>, @ViewBuilder content: () -> C) {}
}

public struct Label: PrimitiveView { public init(_ s: String, systemImage: String) {} }

public struct Text: PrimitiveView {
    public init<S: StringProtocol>(_ s: S) {}

    public func font(_ f: Font?) -> Text { self }
    public func foregroundStyle(_ s: Color) -> Text { self }

    public func monospaced() -> Text { self }
}

public struct Font: Sendable {
    public static let caption = Font(), footnote = Font()

    public func bold() -> Font { self }
    public func monospacedDigit() -> Font { self }

    public func monospaced() -> Font { self }
}

public struct Color: PrimitiveView, Sendable {
    public static let white = Color(), red = Color()
    init() {}
    public init(hue: Double, saturation: Double, brightness: Double) {}
}

extension Color { public static let secondary = Color() }

public enum TextSelectability { case enabled }

public enum ContentMode: Sendable { case fit, fill }

public struct Material: Sendable { public static let ultraThinMaterial = Material() }

public struct AccessibilityTraits: Sendable { public static let updatesFrequently = AccessibilityTraits() }

@MainActor @preconcurrency
public protocol Gesture<Value> {
    associatedtype Value
}

public struct ModifiedGesture<Value>: Gesture {
    public func onEnded(_ action: @escaping (Value) -> Void) -> ModifiedGesture<Value> { fatalError() }
}

public struct MagnifyGesture: Gesture {
    public struct Value: Equatable, Sendable { public var magnification: CGFloat { fatalError() } }
    public nonisolated init() {}
    public func onChanged(_ action: @escaping (Value) -> Void) -> ModifiedGesture<Value> { fatalError() }
}

public struct ControlStyle: Sendable {
    public static let borderedProminent = ControlStyle(), segmented = ControlStyle()
}

public struct Edge {
    public struct Set: OptionSet, Sendable {
        public let rawValue: Int

        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let horizontal = Set(rawValue: 1), bottom = Set(rawValue: 2), all = Set(rawValue: 4)
    }
}

extension View {
    public func tabItem<V: View>(@ViewBuilder _ l: () -> V) -> ModifiedView { fatalError() }
    public func tag<V: Hashable>(_ v: V) -> ModifiedView { fatalError() }
    public func environmentObject<O: ObservableObject>(_ o: O) -> ModifiedView { fatalError() }
    public func task(_ a: @escaping @Sendable @MainActor () async -> Void) -> ModifiedView { fatalError() }
    public func task<T: Equatable>(id: T, _ a: @escaping @MainActor () async -> Void) -> ModifiedView { fatalError() }
    public func onChange<V: Equatable>(of v: V, initial: Bool = false, _ a: @escaping () -> Void) -> ModifiedView {
        fatalError()
    }
    public func padding(_ e: Edge.Set = .all, _ l: CGFloat? = nil) -> ModifiedView { fatalError() }
    @_disfavoredOverload public func font(_ f: Font?) -> ModifiedView { fatalError() }
    @_disfavoredOverload public func foregroundStyle(_ f: Color) -> ModifiedView { fatalError() }
    public func buttonStyle(_ style: ControlStyle) -> ModifiedView { fatalError() }
    public func pickerStyle(_ style: ControlStyle) -> ModifiedView { fatalError() }
    public func disabled(_ b: Bool) -> ModifiedView { fatalError() }
    public func monospacedDigit() -> ModifiedView { fatalError() }
    public func textSelection(_ t: TextSelectability) -> ModifiedView { fatalError() }
    @_disfavoredOverload public func monospaced() -> ModifiedView { fatalError() }
    public func navigationTitle(_ s: String) -> ModifiedView { fatalError() }
    public func accessibilityElement() -> ModifiedView { fatalError() }
    public func accessibilityLabel(_ s: String) -> ModifiedView { fatalError() }
    public func accessibilityAddTraits(_ t: AccessibilityTraits) -> ModifiedView { fatalError() }
    public func scaledToFit() -> ModifiedView { fatalError() }
    public func clipped() -> ModifiedView { fatalError() }
    public func overlay<V: View>(@ViewBuilder content: () -> V) -> ModifiedView { fatalError() }
    public func background(_ m: Material) -> ModifiedView { fatalError() }
    public func gesture<G: Gesture>(_ g: G) -> ModifiedView { fatalError() }
}

public enum HorizontalAlignment { case leading, center }

public struct VStack<C: View>: PrimitiveView {
    public init(alignment: HorizontalAlignment = .center, @ViewBuilder content: () -> C) {}
}

public struct HStack<C: View>: PrimitiveView { public init(@ViewBuilder content: () -> C) {} }

public enum Alignment { case center, bottom }

public struct ZStack<C: View>: PrimitiveView {
    public init(alignment: Alignment = .center, @ViewBuilder content: () -> C) {}
}

public struct Spacer: PrimitiveView { public init() {} }

public struct Toggle: PrimitiveView { public init(_ s: String, isOn: Binding<Bool>) {} }

public struct Slider: PrimitiveView { public init(value: Binding<Double>, in: ClosedRange<Double>) {} }

public struct Menu: PrimitiveView {
    public init<C: View, L: View>(@ViewBuilder content: () -> C, @ViewBuilder label: () -> L) {}
}

public struct Picker<S: Hashable, C: View>: PrimitiveView {
    public init(_ s: String, selection: Binding<S>, @ViewBuilder content: () -> C) {}
}

public struct ForEach<D: RandomAccessCollection, I: Hashable, C: View>: PrimitiveView {
    public init(_ d: D, id: KeyPath<D.Element, I>, @ViewBuilder content: @escaping (D.Element) -> C) {}
}

public struct List<C: View>: PrimitiveView {
    public init(@ViewBuilder content: () -> C) {}
    public init<D: RandomAccessCollection>(_ d: D, @ViewBuilder row: @escaping (D.Element) -> C)
    where D.Element: Identifiable {}
}

public struct LabeledContent<C: View>: PrimitiveView { public init(_ s: String, @ViewBuilder content: () -> C) {} }

extension LabeledContent where C == Text { public init(_ s: String, value: String) {} }

public enum ButtonRole { case destructive }

public struct Button: PrimitiveView {
    public init(_ s: String, role: ButtonRole? = nil, action: @escaping @MainActor () -> Void) {}
    public init<L: View>(action: @escaping @MainActor () -> Void, @ViewBuilder label: () -> L) {}
}

public struct Section<C: View, F: View>: PrimitiveView {
    public init(@ViewBuilder content: () -> C, @ViewBuilder footer: () -> F) {}
}

extension Section where F == EmptyView { public init(_ s: String, @ViewBuilder content: () -> C) {} }

public struct NavigationStack<C: View>: PrimitiveView { public init(@ViewBuilder root: () -> C) {} }

public struct Image: PrimitiveView {
    public init(uiImage: UIImage) {}
    public init(systemName: String) {}

    public func resizable() -> Image { self }
}

public struct ContentUnavailableView: PrimitiveView {
    public init(_ s: String, systemImage: String) {}
    public init<L: View, D: View, A: View>(
        @ViewBuilder label: () -> L, @ViewBuilder description: () -> D, @ViewBuilder actions: () -> A
    ) {}
}

public struct Path { public init(_ r: CGRect) {} }

public struct UnitPoint: Sendable { public static let topLeading = UnitPoint() }

public struct GraphicsContext {
    public struct Shading { public static func color(_ c: Color) -> Shading { fatalError() } }
    public struct ResolvedText { public func measure(in: CGSize) -> CGSize { fatalError() } }
    public func stroke(_ p: Path, with: Shading, lineWidth: CGFloat = 1) {}
    public func fill(_ p: Path, with: Shading) {}

    public func resolve(_ t: Text) -> ResolvedText { fatalError() }
    public func draw(_ t: ResolvedText, at: CGPoint, anchor: UnitPoint) {}
}

public struct Canvas: PrimitiveView { public init(renderer: @escaping (inout GraphicsContext, CGSize) -> Void) {} }

public struct UIViewRepresentableContext {}

@MainActor @preconcurrency
public protocol UIViewRepresentable: View where Body == Never {
    associatedtype UIViewType: UIView
    func makeUIView(context: Context) -> UIViewType
    func updateUIView(_ v: UIViewType, context: Context)
}

extension UIViewRepresentable {
    public typealias Context = UIViewRepresentableContext

    public var body: Never { return fatalError() }
}
