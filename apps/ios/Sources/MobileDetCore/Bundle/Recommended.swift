/// The model file to run if nobody names one; the rule of `mobiledet/recommended.py`.
enum Recommended {
    /// Format and precisions of a runtime, the best precision first.
    private struct Runtime {
        let name: String
        let format: String
        let precisions: [String]

        func fits(_ file: ModelFile) -> Bool { file.format == format && ["", "graph"].contains(file.face) }

        func place(_ file: ModelFile) -> Int { precisions.firstIndex(of: file.precision) ?? precisions.count }
    }

    private static let runtimes = [
        Runtime(
            name: "cpu", format: "tflite", precisions: ["int8", "float32", "float16", "int8-weights", "int16x8"]),
        Runtime(
            name: "gpu", format: "tflite", precisions: ["float16", "float32", "int8-weights", "int8", "int16x8"]),
        Runtime(
            name: "npu", format: "tflite", precisions: ["int8", "int16x8", "float16", "float32", "int8-weights"]),
        Runtime(name: "coreml", format: "coreml", precisions: ["float16", "float32", "int8", "palette6", "w8a8"]),
        Runtime(name: "coreai", format: "coreai", precisions: ["float16", "float32", "int8-weights"]),
    ]

    /// The recommendations stored in a listing, and those of the rule for other runtimes: the path for each runtime.
    static func read(_ listing: Fields, _ files: [ModelFile]) throws -> [String: String] {
        var chosen = of(files)
        guard let stored = listing.value["recommended"], stored != .null else { return chosen }
        let fields = try listing.object("recommended")
        for member in fields.value.members ?? [] {
            let (runtime, path) = (member.name, try fields.string(member.name))
            guard let file = files.first(where: { $0.path == path }) else {
                throw fields.problem("recommended.\(runtime) names \(path), which is not a model file of this bundle")
            }
            let known = runtimes.first { $0.name == runtime }
            try fields.require(
                known?.fits(file) ?? true, "recommended.\(runtime) names \(path), which that runtime cannot run")
            chosen[runtime] = path
        }
        return chosen
    }

    private static func of(_ files: [ModelFile]) -> [String: String] {
        var chosen: [String: String] = [:]
        for runtime in runtimes {
            let best = files.filter(runtime.fits).min { runtime.place($0) < runtime.place($1) }
            chosen[runtime.name] = best?.path
        }
        return chosen
    }
}
