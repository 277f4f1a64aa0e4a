import Combine
import Foundation
import MobileDetCore
import MobileDetKit
import UIKit

/// The agent that serves a computer while the app is in the foreground.
@MainActor
final class Evaluation: ObservableObject {
    @Published private(set) var address = ""
    @Published private(set) var token = ""
    @Published private(set) var problem = ""
    private var agent: Agent?
    private var server: AgentServer?
    private var batteryTimer: Timer?
    private var resumes = false

    var isRunning: Bool { server != nil }

    /// Listen on this device's loopback address, which a computer reaches through the cable.
    func start() {
        guard server == nil else { return }
        do {
            let caches = URL.cachesDirectory.appendingPathComponent("mobiledet/agent")
            let agent = try self.agent ?? Agent(CoreMLRuntime(), folder: caches, foreground: true)
            let token = LaunchOptions.current.token ?? (token.isEmpty ? AgentServer.newToken() : token)
            let server = try AgentServer(
                agent, token: token, port: LaunchOptions.current.port ?? AgentServer.defaultPort)
            server.start()
            agent.setForeground(UIApplication.shared.applicationState != .background)
            (self.agent, self.server, self.token, problem) = (agent, server, token, "")
            address = "127.0.0.1:\(server.port)"
            log("listening on \(address)")
        } catch {
            problem = error.localizedDescription
            log("cannot listen: \(problem)")
        }
        UIApplication.shared.isIdleTimerDisabled = isRunning
        BatteryMonitor.update()
        batteryTimer = Timer.scheduledTimer(withTimeInterval: 5, repeats: true) { _ in
            MainActor.assumeIsolated { BatteryMonitor.update() }
        }
    }

    func stop() {
        server?.stop()
        (server, address) = (nil, "")
        batteryTimer?.invalidate()
        UIApplication.shared.isIdleTimerDisabled = false
        if let agent { DispatchQueue.global().async { agent.close() } }
        agent = nil
    }

    /// The system slows down apps in the background and closes their ports: running work fails, and the agent listens
    /// again when the app is back in the foreground.
    func setForeground(_ isForeground: Bool) {
        agent?.setForeground(isForeground)
        if !isForeground, let running = server {
            running.stop()
            (server, address, resumes) = (nil, "", true)
            log("left the foreground")
        } else if isForeground, resumes {
            resumes = false
            start()
        }
    }

    /// Append a line to the log in the app's documents folder, which a computer can read.
    private func log(_ line: String) {
        let url = URL.documentsDirectory.appendingPathComponent("mobiledet.log")
        let entry = Data("\(Date().ISO8601Format()) \(line)\n".utf8)
        if let file = try? FileHandle(forWritingTo: url) {
            defer { try? file.close() }
            _ = try? file.seekToEnd()
            try? file.write(contentsOf: entry)
        } else {
            try? entry.write(to: url)
        }
    }
}
