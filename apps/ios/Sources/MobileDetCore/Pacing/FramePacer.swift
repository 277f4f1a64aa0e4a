/// Thermal state of a device, the same scale on all platforms.
public enum ThermalLevel: Int, Sendable, CaseIterable, Comparable {
    case nominal, fair, serious, critical

    /// The level of a state as Android or Apple's systems name it, such as `moderate`; nil for any other name.
    public init?(named name: String?) {
        switch name {
        case "nominal", "none": self = .nominal
        case "fair", "light", "moderate": self = .fair
        case "serious", "severe": self = .serious
        case "critical", "emergency", "shutdown": self = .critical
        default: return nil
        }
    }

    public static func < (one: ThermalLevel, other: ThermalLevel) -> Bool { one.rawValue < other.rawValue }
}

/// Whether a frame goes to the detector, or why it is skipped.
public enum FrameDecision: String, Sendable, CaseIterable {
    case detect
    /// The detector has not finished the last frame.
    case busy
    /// The frame comes too early for the highest rate.
    case rate
    /// The frame is skipped only because the device is warm.
    case heat
}

/// Settings of `FramePacer`.
public struct PacerSettings: Equatable, Sendable {
    /// Limit in frames per second at each `ThermalLevel`: none above the one before it, 0 or 0.01 to 1000, the first not 0.
    /// A rate of 0 pauses detection.
    public var rates = [30.0, 20.0, 10.0, 2.0]
    /// Time without a state as hot as the level, before it falls by one.
    public var recoverSeconds = 10.0

    public init() {}

    var areValid: Bool {
        rates.count == ThermalLevel.allCases.count && rates[0] > 0
            && rates.allSatisfy { $0 == 0 || (0.01...1000).contains($0) }
            && zip(rates, rates.dropFirst()).allSatisfy { $1 <= $0 } && (0...3600).contains(recoverSeconds)
    }
}

/// Decides which frames of a camera are processed: at a limited rate, not while the detector is busy, and fewer when the device
/// is warm.
///
/// A frame is taken up to half a period early, so that a camera whose frames are not evenly spaced is not halved; the mean
/// rate stays below the limit. A hotter state applies at once, a cooler one after `PacerSettings.recoverSeconds`.
public struct FramePacer: Sendable {
    private static let secondNs = 1_000_000_000.0

    /// The level whose rate applies now.
    public private(set) var level = ThermalLevel.nominal
    /// Number of frames by decision since the start.
    public private(set) var counts = Dictionary(uniqueKeysWithValues: FrameDecision.allCases.map { ($0, 0) })
    private let rates: [Double]
    private let periods: [Int]
    private let recoverNs: Int
    private var busy = false
    private var now: Int?
    private var due: Int?  // when the latest detection was due
    private var coolerSince: Int?

    public init(settings: PacerSettings = PacerSettings()) {
        precondition(settings.areValid, "a setting is out of range")
        rates = settings.rates
        periods = rates.map { $0 > 0 ? Int((Self.secondNs / $0 + 0.5).rounded(.down)) : 0 }
        recoverNs = Int((settings.recoverSeconds * Self.secondNs + 0.5).rounded(.down))
    }

    /// Text for the user while heat limits the rate, else empty.
    public var notice: String {
        let rate = rates[level.rawValue]
        if rate == rates[0] { return "" }
        if rate == 0 { return "The device is too hot (\(level)): detection pauses until it has cooled down." }
        let text = rate == rate.rounded() ? "\(Int(rate))" : "\(rate)"
        return "The device is warm (\(level)): at most \(text) images per second."
    }

    /// Decide about a frame. After `.detect`, `finish` must follow.
    ///
    /// - Parameters:
    ///   - timeNs: when it came, on a clock that does not go back.
    ///   - thermal: the state that the system reports; nil counts as nominal.
    public mutating func decide(_ timeNs: Int, thermal: ThermalLevel?) -> FrameDecision {
        let time = max(now ?? timeNs, timeNs)
        now = time
        follow(thermal ?? .nominal, time)
        let decision: FrameDecision =
            busy ? .busy : isDue(level, time) ? .detect : isDue(.nominal, time) ? .heat : .rate
        if decision == .detect {
            busy = true
            due = due.map { max($0 + periods[level.rawValue], time) } ?? time
        }
        counts[decision, default: 0] += 1
        return decision
    }

    /// The detector has finished, or failed.
    public mutating func finish() { busy = false }

    private mutating func follow(_ reported: ThermalLevel, _ time: Int) {
        if reported >= level {
            (level, coolerSince) = (reported, nil)
        } else if let since = coolerSince {
            guard time - since >= recoverNs, let cooler = ThermalLevel(rawValue: level.rawValue - 1) else { return }
            level = cooler
            coolerSince = reported < level ? time : nil
        } else {
            coolerSince = time
        }
    }

    private func isDue(_ level: ThermalLevel, _ time: Int) -> Bool {
        let period = periods[level.rawValue]
        guard period > 0 else { return false }
        return due.map { time - $0 >= period - period / 2 } ?? true
    }
}
