#if canImport(CoreML) && canImport(AVFoundation) && canImport(UIKit) && !os(tvOS) && !os(visionOS)
    import AVFoundation
    import MobileDetCore

    /// What the system reports of a running capture session.
    enum SessionChange: Sendable {
        /// With the reason, a line for the user.
        case interrupted(String)
        case resumed
        /// The media services were reset; the session has to be started again.
        case reset
        case failed(MobileDetError)

        init?(_ notification: Notification) {
            switch notification.name {
            case AVCaptureSession.wasInterruptedNotification:
                let reason = notification.userInfo?[AVCaptureSessionInterruptionReasonKey] as? Int
                self = .interrupted(Self.line(reason.flatMap(AVCaptureSession.InterruptionReason.init)))
            case AVCaptureSession.interruptionEndedNotification: self = .resumed
            case AVCaptureSession.runtimeErrorNotification:
                let error = notification.userInfo?[AVCaptureSessionErrorKey] as? AVError
                let reason = error?.localizedDescription ?? "the system gives no reason"
                self = error?.code == .mediaServicesWereReset ? .reset : .failed(MobileDetError("camera: \(reason)"))
            default: return nil
            }
        }

        private static func line(_ reason: AVCaptureSession.InterruptionReason?) -> String {
            switch reason {
            case .videoDeviceNotAvailableInBackground: "The camera pauses while the app is in the background."
            case .audioDeviceInUseByAnotherClient, .videoDeviceInUseByAnotherClient:
                "The camera pauses while another app uses it."
            case .videoDeviceNotAvailableWithMultipleForegroundApps:
                "The camera pauses while other apps share the screen."
            case .videoDeviceNotAvailableDueToSystemPressure:
                "The camera pauses until the device has cooled down."
            default: "The camera pauses; the system gives no reason."
            }
        }
    }

    /// Observes a session for as long as it lives.
    final class NotificationObservers: @unchecked Sendable {
        private var tokens: [any NSObjectProtocol] = []  // written by `init` alone

        @MainActor
        init(of session: AVCaptureSession, tell camera: DetectorCamera) {
            let names = [
                AVCaptureSession.wasInterruptedNotification, AVCaptureSession.interruptionEndedNotification,
                AVCaptureSession.runtimeErrorNotification,
            ]
            tokens = names.map { name in
                NotificationCenter.default.addObserver(forName: name, object: session, queue: .main) {
                    [weak camera] notification in
                    guard let change = SessionChange(notification) else { return }
                    MainActor.assumeIsolated { camera?.sessionChanged(change) }
                }
            }
        }

        deinit {
            for token in tokens { NotificationCenter.default.removeObserver(token) }
        }
    }
#endif
