// Each message of the protocol as JSON; every field is present, null if it is unknown.

func agentInfoMessage(_ runtime: any DetectorRuntime, _ limits: Limits) -> JSON {
    record([
        ("protocol", .integer(protocolVersion)),
        ("agent", .string("mobiledet-swift \(mobileDetVersion)")),
        ("device", runtime.info.message),
        ("accelerators", .array(runtime.accelerators.map(JSON.string))),
        ("limits", limits.message),
    ])
}

func bundleInfoMessage(_ sha256: String) -> JSON {
    record([("sha256", .string(sha256))])
}

func errorMessage(_ message: String, _ code: String) -> JSON {
    record([("error", .string(message)), ("code", .string(code))])
}

extension Limits {
    var message: JSON {
        record([
            ("body_bytes", .integer(bodyBytes)), ("bundle_bytes", .integer(bundleBytes)),
            ("sessions", .integer(sessions)), ("idle_seconds", .integer(idleSeconds)),
            ("wait_seconds", .integer(waitSeconds)),
        ])
    }
}

extension DeviceInfo {
    var message: JSON {
        record([
            ("name", .string(name)), ("model", .string(model)), ("os", .string(os)), ("cpu", .string(cpu)),
            ("cores", .integer(cores)), ("runtime", .string(runtime)), ("runtime_version", .string(runtimeVersion)),
        ])
    }
}

extension DeviceState {
    var message: JSON {
        record([
            ("memory_bytes", optional(memoryBytes, JSON.integer)),
            ("peak_memory_bytes", optional(peakMemoryBytes, JSON.integer)),
            ("temperatures_c", record(temperaturesC.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })),
            ("thermal_status", optional(thermalStatus, JSON.string)),
            ("load", optional(load, JSON.number)),
            ("foreground", optional(foreground, JSON.bool)),
            ("battery", optional(battery, JSON.number)),
            ("charging", optional(charging, JSON.bool)),
            ("power_saving", optional(powerSaving, JSON.bool)),
        ])
    }
}

extension Execution {
    var message: JSON {
        record([
            ("requested", .string(requested)), ("actual", .string(actual)),
            ("delegated_share", optional(delegatedShare, JSON.number)), ("threads", .integer(threads)),
        ])
    }
}

extension GoldenReport {
    var message: JSON {
        record([
            ("cases", .integer(cases)), ("detections", .integer(detections)),
            ("lowest_iou", .number(Double(lowestIoU))),
            ("largest_score_difference", .number(Double(largestScoreDifference))),
        ])
    }
}

extension FoundLine {
    var message: JSON {
        let boxes = detections.map { found in
            JSON.array([found.box.x1, found.box.y1, found.box.x2, found.box.y2].map { .number(Double($0)) })
        }
        return record([
            ("index", .integer(index)), ("height", .integer(height)), ("width", .integer(width)),
            ("boxes", .array(boxes)),
            ("scores", .array(detections.map { .number(Double($0.score)) })),
            ("labels", .array(detections.map { .integer($0.classIndex) })),
            ("times", optional(times) { $0.message }),
            ("problem", .string(problem)),
        ])
    }
}

extension StageTimes {
    var message: JSON {
        record([
            ("decode", .integer(decode)), ("preprocess", .integer(preprocess)), ("infer", .integer(infer)),
            ("postprocess", .integer(postprocess)),
        ])
    }
}

extension JobInfo {
    var message: JSON {
        record([
            ("id", .string(id)), ("status", .string(status.rawValue)),
            ("samples", optional(samples) { $0.message }),
            ("error", optional(error) { errorMessage($0.message, $0.code) }),
        ])
    }
}

extension BenchmarkSamples {
    var message: JSON {
        let coldStarts = coldStarts.map { start in
            record([
                ("load_ns", .integer(start.loadNs)), ("first_infer_ns", .integer(start.firstInferNs)),
                ("memory_bytes", optional(start.memoryBytes, JSON.integer)),
            ])
        }
        return record([
            ("infer_ns", .array(runs.inferNs.map(JSON.integer))),
            ("started_ns", .array(runs.startedNs.map(JSON.integer))),
            ("warmup_ns", .array(runs.warmupNs.map(JSON.integer))),
            ("steady", .bool(runs.steady)),
            ("cold_starts", .array(coldStarts)),
            ("states", .array(runs.states.map(\.message))),
            ("state_ns", .array(runs.stateNs.map(JSON.integer))),
        ])
    }
}

func record(_ fields: [(String, JSON)]) -> JSON {
    .object(fields.map { JSON.Member($0.0, $0.1) })
}

private func optional<Value>(_ value: Value?, _ encode: (Value) -> JSON) -> JSON {
    value.map(encode) ?? .null
}
