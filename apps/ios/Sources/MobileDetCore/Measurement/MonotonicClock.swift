import Foundation

/// Nanoseconds of a monotonic clock, which continues while the device sleeps.
public func monotonicNs() -> Int {
    #if canImport(Darwin)
        return Int(clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW))  // mach_continuous_time
    #else
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    #endif
}
