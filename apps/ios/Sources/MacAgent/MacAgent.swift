#if os(macOS)
    import Foundation
    import MobileDetCore
    import MobileDetKit

    /// The agent on a Mac, without an app: `swift run mobiledet-agent`, then `mobiledet evaluate` against its address.
    @main
    struct MacAgent {
        static func main() throws {
            let environment = ProcessInfo.processInfo.environment
            let caches = try FileManager.default.url(
                for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
            let agent = try Agent(CoreMLRuntime(), folder: caches.appendingPathComponent("mobiledet/agent"))
            let port = environment["MOBILEDET_PORT"].flatMap(UInt16.init) ?? AgentServer.defaultPort
            let token = environment["MOBILEDET_TOKEN"] ?? AgentServer.newToken()
            let server = try AgentServer(agent, token: token, port: port)
            server.start()
            print("agent: http://127.0.0.1:\(server.port)\ntoken: \(token)\nstop it with Ctrl-C")
            dispatchMain()
        }
    }
#endif
