import SwiftUI

public struct PHPickerFilter: Sendable { public static let images = PHPickerFilter() }

public struct PhotosPickerItem: Equatable, Sendable {
    public func loadTransferable<T>(type: T.Type) async throws -> T? { nil }
}

public struct PhotosPicker: PrimitiveView {
    public init(_ s: String, selection: Binding<PhotosPickerItem?>, matching: PHPickerFilter?) {}
}
