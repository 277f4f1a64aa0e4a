#if canImport(CoreML)
    import Foundation
    import MobileDetCore

    #if canImport(FoundationNetworking)
        import FoundationNetworking
    #endif

    /// A zip on a web server, with its signature at the same address and `.sig`; for `ModelStore.update`.
    public struct WebModelSource: ModelSource {
        private static let maxSignatureBytes = 1024
        private let url: URL

        public init(_ url: URL) {
            self.url = url
        }

        public func signature() async throws -> [UInt8] {
            let address = url.appendingPathExtension("sig")
            let (content, response) = try await URLSession.shared.data(for: request(address))
            try check(response, address, bytes: content.count, most: Self.maxSignatureBytes)
            return Array(content)
        }

        public func download(to target: URL, bytes: Int) async throws {
            let (file, response) = try await URLSession.shared.download(for: request(url))
            let size = try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int
            try check(response, url, bytes: size ?? 0, most: bytes)
            try FileManager.default.moveItem(at: file, to: target)
        }

        private func request(_ address: URL) -> URLRequest {
            URLRequest(url: address, cachePolicy: .reloadIgnoringLocalCacheData)
        }

        private func check(_ response: URLResponse, _ address: URL, bytes: Int, most: Int) throws {
            let status = (response as? HTTPURLResponse)?.statusCode ?? 0
            guard status == 200 else {
                throw MobileDetError("\(address) cannot be fetched: the server says \(status)")
            }
            guard bytes <= most else { throw MobileDetError("\(address) has more than \(most) bytes") }
        }
    }
#endif
