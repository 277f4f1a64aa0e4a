// swift-tools-version: 6.0
// Swift packages are found by URL only at the root of a repository; everything else of it is in apps/ios.
import PackageDescription

let package = Package(
    name: "MobileDet",
    // the oldest systems that run the bundles of `mobiledet export` (--ios 17 by default)
    platforms: [.iOS("17.0"), .macOS("14.0")],
    products: [
        .library(name: "MobileDetCore", targets: ["MobileDetCore"]),
        .library(name: "MobileDetKit", targets: ["MobileDetKit"]),
    ],
    targets: [
        .target(name: "CZlib", path: "apps/ios/Sources/CZlib", linkerSettings: [.linkedLibrary("z")]),
        .target(
            name: "MobileDetCore", dependencies: ["CZlib"], path: "apps/ios/Sources/MobileDetCore",
            resources: [.copy("PrivacyInfo.xcprivacy")]),
        .target(name: "MobileDetKit", dependencies: ["MobileDetCore"], path: "apps/ios/Sources/MobileDetKit"),
        .target(name: "Replay", dependencies: ["MobileDetCore"], path: "apps/ios/Checks/Replay"),
        .testTarget(
            name: "MobileDetCoreTests", dependencies: ["MobileDetCore", "Replay"],
            path: "apps/ios/Tests/MobileDetCoreTests"),
        .testTarget(
            name: "MobileDetKitTests", dependencies: ["MobileDetKit"], path: "apps/ios/Tests/MobileDetKitTests"),
    ],
    swiftLanguageModes: [.v6]
)

#if os(macOS)
    package.products.append(.executable(name: "mobiledet-agent", targets: ["mobiledet-agent"]))
    package.targets.append(
        .executableTarget(name: "mobiledet-agent", dependencies: ["MobileDetKit"], path: "apps/ios/Sources/MacAgent"))
#endif

// For apps/ios/check.sh on Linux alone: it needs image libraries that nobody who builds the package has to have.
#if os(Linux)
    if Context.environment["MOBILEDET_CHECKS"] != nil {
        package.targets += [
            .systemLibrary(name: "CImages", path: "apps/ios/Checks/CImages"),
            .executableTarget(
                name: "replay-agent", dependencies: ["MobileDetCore", "Replay", "CImages"],
                path: "apps/ios/Checks/ReplayAgent"),
        ]
    }
#endif
