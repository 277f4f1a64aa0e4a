#if canImport(CoreML) && canImport(AVFoundation) && canImport(UIKit) && !os(tvOS) && !os(visionOS)
    import AVFoundation

    /// A camera of the device, or one that is connected to it.
    public struct Lens: Identifiable, Hashable, Sendable {
        /// The system's id of it.
        public let id: String
        /// Its name in the language of the user.
        public let name: String
        /// Whether it faces the user; its preview is mirrored.
        public let isFront: Bool
        public let hasTorch: Bool
        /// Zoom factors that it offers in the format in use.
        public let zoomRange: ClosedRange<Double>

        /// More than this shows pixels.
        private static let largestZoom = 10.0

        init(_ device: AVCaptureDevice) {
            (id, name) = (device.uniqueID, device.localizedName)
            (isFront, hasTorch) = (device.position == .front, device.hasTorch)
            let least = Double(device.minAvailableVideoZoomFactor)
            zoomRange = least...max(least, min(Double(device.maxAvailableVideoZoomFactor), Self.largestZoom))
        }

        /// The lenses of this device, the usual one of the back first.
        static func available() -> [AVCaptureDevice] {
            AVCaptureDevice.DiscoverySession(
                deviceTypes: [.builtInWideAngleCamera, .builtInUltraWideCamera, .builtInTelephotoCamera, .external],
                mediaType: .video, position: .unspecified
            ).devices.sorted { rank($0) < rank($1) }
        }

        private static func rank(_ device: AVCaptureDevice) -> Int {
            device.position == .back ? 0 : device.position == .front ? 1 : 2
        }
    }
#endif
