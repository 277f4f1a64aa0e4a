/// How a device is at one moment; nil and empty where it cannot tell.
public struct DeviceState: Equatable, Sendable {
    /// Of the process that runs the model, now.
    public var memoryBytes: Int?
    /// The most it has held.
    public var peakMemoryBytes: Int?
    /// Degrees Celsius of each thermal zone, by name.
    public var temperaturesC: [String: Double] = [:]
    /// The system's own word, such as `nominal`.
    public var thermalStatus: String?
    /// Runnable processes, mean of the last minute.
    public var load: Double?
    /// Whether the app is what the person sees.
    public var foreground: Bool?
    /// Charge, 0...1.
    public var battery: Double?
    public var charging: Bool?
    /// Whether the system saves power.
    public var powerSaving: Bool?

    public init() {}
}

/// What a device is.
public struct DeviceInfo: Equatable, Sendable {
    public var name: String
    public var model: String
    /// Operating system with its version or build.
    public var os: String
    public var cpu: String
    /// That the runtime may use.
    public var cores: Int
    /// What executes the model file; results of different runtimes are told apart by it.
    public var runtime: String
    public var runtimeVersion: String

    public init(
        name: String, model: String, os: String, cpu: String, cores: Int, runtime: String, runtimeVersion: String
    ) {
        (self.name, self.model, self.os, self.cpu, self.cores) = (name, model, os, cpu, cores)
        (self.runtime, self.runtimeVersion) = (runtime, runtimeVersion)
    }
}

/// How a model file is really executed.
public struct Execution: Equatable, Sendable {
    /// The accelerator that was asked for.
    public var requested: String
    /// The one that runs the file.
    public var actual: String
    /// Part of the graph's operations that runs on it, 0...1; nil where the runtime does not tell.
    public var delegatedShare: Double?
    /// Of the processor.
    public var threads: Int

    public init(requested: String, actual: String, delegatedShare: Double?, threads: Int) {
        (self.requested, self.actual, self.delegatedShare, self.threads) = (requested, actual, delegatedShare, threads)
    }
}

/// A model file that is met for the first time.
public struct ColdStart: Equatable, Sendable {
    /// Open the file, build the graph, hand it to the accelerator.
    public var loadNs: Int
    /// The first run.
    public var firstInferNs: Int
    /// That the process grew by, at its peak.
    public var memoryBytes: Int?

    public init(loadNs: Int, firstInferNs: Int, memoryBytes: Int?) {
        (self.loadNs, self.firstInferNs, self.memoryBytes) = (loadNs, firstInferNs, memoryBytes)
    }
}
