import Foundation

public struct AIModel: Sendable {
    public init(contentsOf url: URL, options: SpecializationOptions = .default) async throws { fatalError() }
    public func loadFunction(named name: String) throws -> InferenceFunction? { fatalError() }
}

public struct SpecializationOptions: Sendable {
    public static let `default` = SpecializationOptions()
    public static let cpuOnly = SpecializationOptions()
    init() {}
    public init(preferredComputeUnitKind: ComputeUnitKind) {}
}

public enum ComputeUnitKind: Sendable {
    case cpu, gpu, neuralEngine
}

public struct InferenceFunction: Sendable {
    public var descriptor: InferenceFunctionDescriptor { fatalError() }
    public func run(inputs: [String: NDArray]) async throws -> Outputs { fatalError() }

    public struct Outputs {
        public mutating func remove(_ name: String) -> InferenceValue? { fatalError() }
    }
}

public struct InferenceFunctionDescriptor: Sendable {
    public var inputNames: [String] { fatalError() }
    public var outputNames: [String] { fatalError() }
    public func inputDescriptor(of name: String) -> InferenceValue.Descriptor? { fatalError() }
}

public struct InferenceValue {
    public var ndArray: NDArray? { fatalError() }

    public enum Descriptor: Sendable {
        case ndArray(NDArrayDescriptor)
        case image
    }
}

public struct NDArrayDescriptor: Sendable {
    public var shape: [Int] { fatalError() }
    public var scalarType: NDArray.ScalarType { fatalError() }
}

public struct NDArray: Sendable {
    public enum ScalarType: Sendable {
        case float16, float32
    }

    public init(shape: [Int], scalarType: ScalarType) { fatalError() }
    public func view<T>(as type: T.Type) -> View<T> { fatalError() }
    public mutating func mutableView<T>(as type: T.Type) -> MutableView<T> { fatalError() }

    public struct View<T> {
        public var contiguousElements: [T]? { fatalError() }
    }

    public struct MutableView<T> {
        public mutating func withUnsafeMutablePointer(_ body: (UnsafeMutablePointer<T>, [Int], [Int]) -> Void) {}
    }
}
