#if canImport(CoreML)
    import CoreML
    import Foundation
    import MobileDetCore

    extension Execution {
        /// What runs a compiled file. Systems before 17.4 and 14.4 do not report it: there only the processor is known, if it
        /// was requested.
        init(of compiled: URL, _ configuration: MLModelConfiguration, requested: ComputeUnit) throws {
            guard #available(iOS 17.4, macOS 14.4, *) else {
                self.init(
                    requested: requested.rawValue, actual: (requested == .cpu ? ComputeUnit.cpu : .auto).rawValue,
                    delegatedShare: nil, threads: ProcessInfo.processInfo.activeProcessorCount)
                return
            }
            self = try ComputePlan(of: compiled, configuration).execution(requested: requested)
        }
    }

    /// On which unit Core ML runs the operations of a file, as `MLComputePlan` tells.
    @available(iOS 17.4, macOS 14.4, *)
    private struct ComputePlan: Sendable {
        private var counts: [ComputeUnit: Int] = [:]

        init(of compiled: URL, _ configuration: MLModelConfiguration) throws {
            let units = configuration.computeUnits
            counts = try waiting {
                let configuration = MLModelConfiguration()
                configuration.computeUnits = units
                let plan = try await MLComputePlan.load(contentsOf: compiled, configuration: configuration)
                var counts: [ComputeUnit: Int] = [:]
                count(plan.modelStructure, plan, &counts)
                return counts
            }
        }

        /// What really runs a file: the unit that was asked for, or the processor where that takes no operation.
        func execution(requested: ComputeUnit) -> Execution {
            let total = counts.values.reduce(0, +)
            let candidates: [ComputeUnit] = requested == .auto ? [.ane, .gpu, .cpu] : [requested]
            let most = candidates.max { counts[$0, default: 0] < counts[$1, default: 0] } ?? .cpu
            let actual = counts[most, default: 0] > 0 ? most : .cpu
            let share = total > 0 ? Double(counts[actual, default: 0]) / Double(total) : nil
            return Execution(
                requested: requested.rawValue, actual: actual.rawValue, delegatedShare: actual == .cpu ? nil : share,
                threads: ProcessInfo.processInfo.activeProcessorCount)
        }
    }

    @available(iOS 17.4, macOS 14.4, *)
    private func count(_ structure: MLModelStructure, _ plan: MLComputePlan, _ counts: inout [ComputeUnit: Int]) {
        switch structure {
        case .program(let program):
            for function in program.functions.values { count(function.block, plan, &counts) }
        case .pipeline(let pipeline):
            for model in pipeline.subModels { count(model, plan, &counts) }
        default: break  // suppression and other stages of a pipeline run on the processor
        }
    }

    @available(iOS 17.4, macOS 14.4, *)
    private func count(
        _ block: MLModelStructure.Program.Block, _ plan: MLComputePlan, _ counts: inout [ComputeUnit: Int]
    ) {
        for operation in block.operations {
            switch plan.deviceUsage(for: operation)?.preferred {  // none for constants
            case .cpu: counts[.cpu, default: 0] += 1
            case .gpu: counts[.gpu, default: 0] += 1
            case .neuralEngine: counts[.ane, default: 0] += 1
            default: break
            }
            for inner in operation.blocks { count(inner, plan, &counts) }
        }
    }
#endif
