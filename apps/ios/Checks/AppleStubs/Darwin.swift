import MobileDetCore

// Stands in for DeviceReadings.swift, which asks the kernel of Apple's systems.

enum DeviceReadings {
    static func info() -> DeviceInfo { fatalError() }
    static func state() -> DeviceState { fatalError() }
}

struct MemoryReading {
    let footprint: Int? = nil
}
