#if canImport(CoreML)
    import CoreML
    import Foundation
    import MobileDetCore

    /// Compiled model files, which are kept: to compile one takes seconds.
    enum CompiledModels {
        /// Where the compiled form of a bundle's file lies; it is compiled if it is not there yet.
        static func url(of file: ModelFile, in bundle: ModelBundle) throws -> URL {
            let folder = try FileManager.default.url(
                for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true
            ).appendingPathComponent("mobiledet/compiled", isDirectory: true)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            // another system may compile otherwise
            let system = SHA256.hex(ProcessInfo.processInfo.operatingSystemVersionString.utf8).prefix(8)
            let target = folder.appendingPathComponent("\(file.sha256)-\(system).mlmodelc", isDirectory: true)
            if FileManager.default.fileExists(atPath: target.path) { return target }
            let source = bundle.url(of: file)
            let made = try waiting { try await MLModel.compileModel(at: source) }
            do {
                try FileManager.default.moveItem(at: made, to: target)
            } catch  where FileManager.default.fileExists(atPath: target.path) {
                try? FileManager.default.removeItem(at: made)  // another thread was faster
            }
            return target
        }
    }

    /// The result of asynchronous work, for a thread that has nothing else to do. Never call it from a task.
    func waiting<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) throws -> Value {
        let result = Outcome<Value>()
        let finished = DispatchSemaphore(value: 0)
        Task.detached(priority: .userInitiated) {
            do { result.value = .success(try await work()) } catch { result.value = .failure(error) }
            finished.signal()
        }
        finished.wait()
        return try result.value!.get()
    }

    /// Written by one thread before the semaphore is signalled, read by another one after.
    private final class Outcome<Value>: @unchecked Sendable {
        var value: Result<Value, any Error>?
    }
#endif
