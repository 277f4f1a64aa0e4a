#if canImport(CoreML)
    import Foundation
    import MobileDetCore

    #if canImport(UIKit)
        import UIKit
    #endif

    /// What the system tells of this device.
    enum DeviceReadings {
        static func info(runtime: String = ModelFormat.coreML.rawValue) -> DeviceInfo {
            let system = ProcessInfo.processInfo.operatingSystemVersionString
            #if os(iOS)
                let name = "iOS", cpu = text("hw.machine")
            #else
                let name = "macOS", cpu = text("machdep.cpu.brand_string")
            #endif
            return DeviceInfo(
                name: "local", model: text(name == "iOS" ? "hw.machine" : "hw.model"), os: "\(name) \(system)",
                cpu: cpu,
                cores: ProcessInfo.processInfo.activeProcessorCount, runtime: runtime, runtimeVersion: system)
        }

        static func state() -> DeviceState {
            var state = DeviceState()
            let memory = MemoryReading()
            (state.memoryBytes, state.peakMemoryBytes) = (memory.footprint, memory.peak)
            state.thermalStatus = thermalStatus
            var load = [0.0]
            if getloadavg(&load, 1) == 1 { state.load = load[0] }
            state.powerSaving = ProcessInfo.processInfo.isLowPowerModeEnabled
            let battery = BatteryMonitor.latest
            (state.battery, state.charging) = (battery.level, battery.charging)
            return state
        }

        /// The system's own term, such as `nominal`.
        static var thermalStatus: String {
            switch ProcessInfo.processInfo.thermalState {
            case .nominal: "nominal"
            case .fair: "fair"
            case .serious: "serious"
            case .critical: "critical"
            @unknown default: "unknown"
            }
        }

        /// A text that the kernel tells, such as the model `iPhone16,1`.
        private static func text(_ name: String) -> String {
            var size = 0
            guard sysctlbyname(name, nil, &size, nil, 0) == 0, size > 0 else { return "unknown" }
            var bytes = [UInt8](repeating: 0, count: size)
            guard sysctlbyname(name, &bytes, &size, nil, 0) == 0 else { return "unknown" }
            return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    extension ThermalLevel {
        /// The state that the system reports now; nil if it is unknown.
        public static var current: ThermalLevel? { ThermalLevel(named: DeviceReadings.thermalStatus) }
    }

    /// Memory of this process, as the system accounts it against the app.
    struct MemoryReading {
        private(set) var footprint: Int?
        private(set) var peak: Int?

        init() {
            var info = task_vm_info_data_t()
            var count = mach_msg_type_number_t(MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<natural_t>.size)
            let status = withUnsafeMutablePointer(to: &info) { pointer in
                pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                    task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), $0, &count)
                }
            }
            guard status == KERN_SUCCESS else { return }
            footprint = Int(info.phys_footprint)
            peak = Int(info.ledger_phys_footprint_peak)
        }
    }

    /// The battery, which only the main thread may ask; the agent's threads read the latest answer.
    public enum BatteryMonitor {
        private final class Reading: @unchecked Sendable {
            private let lock = NSLock()
            private var level: Double?
            private var charging: Bool?

            func set(_ level: Double?, _ charging: Bool?) {
                lock.lock()
                (self.level, self.charging) = (level, charging)
                lock.unlock()
            }

            func get() -> (level: Double?, charging: Bool?) {
                lock.lock()
                defer { lock.unlock() }
                return (level, charging)
            }
        }

        private static let reading = Reading()

        static var latest: (level: Double?, charging: Bool?) { reading.get() }

        #if canImport(UIKit)
            /// Ask now; call it at the start and every few seconds while measuring.
            @MainActor
            public static func update() {
                let device = UIDevice.current
                device.isBatteryMonitoringEnabled = true
                let level = device.batteryLevel
                let isKnown = device.batteryState != .unknown
                reading.set(
                    level >= 0 ? Double(level) : nil,
                    isKnown ? [.charging, .full].contains(device.batteryState) : nil)
            }
        #endif
    }
#endif
