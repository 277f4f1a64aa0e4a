/// State of a device at one moment; nil or empty where it is unknown.
public struct DeviceState: Equatable, Sendable {
    /// Current memory of the process that runs the model.
    public var memoryBytes: Int?
    /// Peak memory of that process.
    public var peakMemoryBytes: Int?
    /// Degrees Celsius of each thermal zone, by name.
    public var temperaturesC: [String: Double] = [:]
    /// The system's own term, such as `nominal`.
    public var thermalStatus: String?
    /// Mean number of runnable processes in the last minute.
    public var load: Double?
    /// Whether the app is in the foreground.
    public var foreground: Bool?
    /// Charge of the battery, 0...1.
    public var battery: Double?
    public var charging: Bool?
    /// Whether the power saving mode is on.
    public var powerSaving: Bool?

    public init() {}
}

/// Description of a device.
public struct DeviceInfo: Equatable, Sendable {
    public var name: String
    public var model: String
    /// Operating system with its version or build.
    public var os: String
    public var cpu: String
    /// Number of cores that the runtime may use.
    public var cores: Int
    /// The runtime that executes the model file; it distinguishes results of different runtimes.
    public var runtime: String
    public var runtimeVersion: String

    public init(
        name: String, model: String, os: String, cpu: String, cores: Int, runtime: String, runtimeVersion: String
    ) {
        (self.name, self.model, self.os, self.cpu, self.cores) = (name, model, os, cpu, cores)
        (self.runtime, self.runtimeVersion) = (runtime, runtimeVersion)
    }
}

/// How a model file is actually executed.
public struct Execution: Equatable, Sendable {
    /// The requested accelerator.
    public var requested: String
    /// The one that runs the file.
    public var actual: String
    /// Fraction of the graph's operations that run on it, 0...1; nil if the runtime does not report it.
    public var delegatedShare: Double?
    /// Number of CPU threads.
    public var threads: Int

    public init(requested: String, actual: String, delegatedShare: Double?, threads: Int) {
        (self.requested, self.actual, self.delegatedShare, self.threads) = (requested, actual, delegatedShare, threads)
    }
}

/// First load and first run of a model file.
public struct ColdStart: Equatable, Sendable {
    /// Time to open the file, build the graph and prepare the accelerator.
    public var loadNs: Int
    /// Time of the first run.
    public var firstInferNs: Int
    /// Memory that the process added.
    public var memoryBytes: Int?

    public init(loadNs: Int, firstInferNs: Int, memoryBytes: Int?) {
        (self.loadNs, self.firstInferNs, self.memoryBytes) = (loadNs, firstInferNs, memoryBytes)
    }
}
