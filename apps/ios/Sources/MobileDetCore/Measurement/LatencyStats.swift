/// Statistics of latency samples, in milliseconds.
///
/// Percentile p is the sorted sample at rank p/100 * (n - 1), counted from 0, with linear interpolation between neighbours
/// (type 7 of Hyndman and Fan, 1996). The host computes the bootstrap interval of the median.
public struct LatencyStats: Equatable, Sendable {
    static let p99Samples = 200
    static let throttledRatio = 1.10

    public let n: Int
    public let meanMs: Double
    /// Sample standard deviation (n - 1); 0 for one sample.
    public let stdMs: Double
    public let minMs: Double
    public let p50Ms: Double
    public let p90Ms: Double
    public let p95Ms: Double
    /// Nil with fewer than 200 samples.
    public let p99Ms: Double?
    /// Whether the median of the last fifth of the samples is more than 1.10 times that of the first fifth.
    public let throttled: Bool

    /// Statistics of samples in nanoseconds, in the order in which they were taken; nil without samples.
    public init?(_ samplesNs: [Int]) {
        guard !samplesNs.isEmpty else { return nil }
        let samples = samplesNs.map { Double($0) / 1e6 }
        let sorted = samples.sorted()
        let mean = samples.reduce(0, +) / Double(samples.count)
        let squares = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        n = samples.count
        meanMs = mean
        stdMs = samples.count > 1 ? (squares / Double(samples.count - 1)).squareRoot() : 0
        minMs = sorted[0]
        p50Ms = Self.percentile(50, ofSorted: sorted)
        p90Ms = Self.percentile(90, ofSorted: sorted)
        p95Ms = Self.percentile(95, ofSorted: sorted)
        p99Ms = samples.count >= Self.p99Samples ? Self.percentile(99, ofSorted: sorted) : nil
        let fifth = max(1, samples.count / 5)
        let first = Self.percentile(50, ofSorted: samples.prefix(fifth).sorted())
        let last = Self.percentile(50, ofSorted: samples.suffix(fifth).sorted())
        throttled = last > Self.throttledRatio * first
    }

    private static func percentile(_ percent: Double, ofSorted sorted: [Double]) -> Double {
        let rank = percent / 100 * Double(sorted.count - 1)
        let below = Int(rank)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (sorted[above] - sorted[below]) * (rank - Double(below))
    }
}
