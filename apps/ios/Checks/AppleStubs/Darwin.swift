import Foundation

// What DeviceReadings.swift asks the kernel and Foundation of Apple's systems; compiled into its module.

typealias kern_return_t = Int32
typealias mach_msg_type_number_t = UInt32
typealias mach_port_t = UInt32
typealias natural_t = UInt32
typealias integer_t = Int32
typealias task_flavor_t = UInt32

struct task_vm_info_data_t {
    var phys_footprint: UInt64 = 0
    var ledger_phys_footprint_peak: Int64 = 0
}

nonisolated(unsafe) var mach_task_self_: mach_port_t = 0
let KERN_SUCCESS: kern_return_t = 0
let TASK_VM_INFO: Int32 = 22

func task_info(
    _ task: mach_port_t, _ flavor: task_flavor_t, _ info: UnsafeMutablePointer<integer_t>?,
    _ count: UnsafeMutablePointer<mach_msg_type_number_t>?
) -> kern_return_t { fatalError() }

func sysctlbyname(
    _ name: UnsafePointer<CChar>?, _ value: UnsafeMutableRawPointer?, _ size: UnsafeMutablePointer<Int>?,
    _ newValue: UnsafeMutableRawPointer?, _ newSize: Int
) -> Int32 { fatalError() }

extension ProcessInfo {
    enum ThermalState: Int {
        case nominal, fair, serious, critical
    }

    var thermalState: ThermalState { fatalError() }
    var isLowPowerModeEnabled: Bool { fatalError() }
}
