// swift-tools-version: 6.0
import PackageDescription

// Apple's frameworks do not fully support the strict concurrency of Swift 6.
let swift5Mode: [SwiftSetting] = [.swiftLanguageMode(.v5)]

let package = Package(
    name: "MobileDet",
    // 17.4 and 14.4: the first versions that report on which unit Core ML runs an operation
    platforms: [.iOS("17.4"), .macOS("14.4")],
    products: [
        .library(name: "MobileDetCore", targets: ["MobileDetCore"]),
        .library(name: "MobileDetKit", targets: ["MobileDetKit"]),
    ],
    targets: [
        .target(name: "CZlib", linkerSettings: [.linkedLibrary("z")]),
        .target(name: "MobileDetCore", dependencies: ["CZlib"], resources: [.copy("PrivacyInfo.xcprivacy")]),
        .target(name: "MobileDetKit", dependencies: ["MobileDetCore"], swiftSettings: swift5Mode),
        .target(name: "Replay", dependencies: ["MobileDetCore"], path: "Checks/Replay"),
        .testTarget(name: "MobileDetCoreTests", dependencies: ["MobileDetCore", "Replay"]),
        .testTarget(name: "MobileDetKitTests", dependencies: ["MobileDetKit"], swiftSettings: swift5Mode),
    ]
)

#if os(macOS)
    package.products.append(.executable(name: "mobiledet-agent", targets: ["mobiledet-agent"]))
    package.targets.append(
        .executableTarget(
            name: "mobiledet-agent", dependencies: ["MobileDetKit"], path: "Sources/MacAgent", swiftSettings: swift5Mode
        ))
#endif

// For checks of the package on Linux; not visible to Xcode.
#if os(Linux)
    package.targets += [
        .systemLibrary(name: "CImages", path: "Checks/CImages"),
        .executableTarget(
            name: "replay-agent", dependencies: ["MobileDetCore", "Replay", "CImages"], path: "Checks/ReplayAgent"),
    ]
#endif
