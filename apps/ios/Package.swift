// swift-tools-version: 6.0
import PackageDescription

// Frameworks of Apple are not written for the strict concurrency of Swift 6 throughout.
let asApple: [SwiftSetting] = [.swiftLanguageMode(.v5)]

let package = Package(
    name: "MobileDet",
    // 17.4 and 14.4: the first systems that tell on which unit Core ML runs an operation
    platforms: [.iOS("17.4"), .macOS("14.4")],
    products: [
        .library(name: "MobileDetCore", targets: ["MobileDetCore"]),
        .library(name: "MobileDetKit", targets: ["MobileDetKit"]),
    ],
    targets: [
        .target(name: "CZlib", linkerSettings: [.linkedLibrary("z")]),
        .target(name: "MobileDetCore", dependencies: ["CZlib"], resources: [.copy("PrivacyInfo.xcprivacy")]),
        .target(name: "MobileDetKit", dependencies: ["MobileDetCore"], swiftSettings: asApple),
        .target(name: "Replay", dependencies: ["MobileDetCore"], path: "Checks/Replay"),
        .testTarget(name: "MobileDetCoreTests", dependencies: ["MobileDetCore", "Replay"]),
        .testTarget(name: "MobileDetKitTests", dependencies: ["MobileDetKit"], swiftSettings: asApple),
    ]
)

#if os(macOS)
    package.products.append(.executable(name: "mobiledet-agent", targets: ["mobiledet-agent"]))
    package.targets.append(
        .executableTarget(
            name: "mobiledet-agent", dependencies: ["MobileDetKit"], path: "Sources/MacAgent", swiftSettings: asApple))
#endif

// What checks the package on Linux; Xcode never sees it.
#if os(Linux)
    package.targets += [
        .systemLibrary(name: "CImages", path: "Checks/CImages"),
        .executableTarget(
            name: "replay-agent", dependencies: ["MobileDetCore", "Replay", "CImages"], path: "Checks/ReplayAgent"),
    ]
#endif
