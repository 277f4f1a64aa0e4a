package dev.mobiledet.core

/** The model file to run if nobody names one; the rule of mobiledet/recommended.py. */
internal object Recommended {
    /** Format and precisions of each runtime, the best precision first. */
    private val RUNTIMES = mapOf(
        "cpu" to ("tflite" to listOf("int8", "float32", "float16", "int8-weights", "int16x8")),
        "gpu" to ("tflite" to listOf("float16", "float32", "int8-weights", "int8", "int16x8")),
        "npu" to ("tflite" to listOf("int8", "int16x8", "float16", "float32", "int8-weights")),
        "coreml" to ("coreml" to listOf("float16", "float32", "int8", "palette6", "w8a8")),
        "coreai" to ("coreai" to listOf("float16", "float32", "int8-weights")),
    )
    private val CPU_ACCELERATORS = setOf("auto", "cpu", "xnnpack", "wasm", "interpreter")
    private val FACES = setOf("", "graph") // interfaces with the four outputs

    /** The runtime of TFLite files on an accelerator: `cpu`, `gpu` or `npu`, which includes vendors' own names. */
    fun runtime(accelerator: String): String = when {
        accelerator in CPU_ACCELERATORS -> "cpu"
        accelerator.startsWith("gpu") || accelerator.startsWith("webgpu") -> "gpu"
        else -> "npu"
    }

    /** The recommendations stored in a listing, and those of the rule for other runtimes: the path for each runtime. */
    fun read(listing: Fields, files: List<ModelFile>): Map<String, String> {
        val stored = if (listing.has("recommended")) listing.entries("recommended") { fields, name -> fields.text(name) } else emptyMap()
        for ((runtime, path) in stored) {
            val file = files.firstOrNull { it.path == path }
            require(file != null) { "recommended.$runtime names $path, which is not a model file of this bundle" }
            require(runtime !in RUNTIMES || fits(runtime, file)) { "recommended.$runtime names $path, which that runtime cannot run" }
        }
        return of(files) + stored
    }

    private fun of(files: List<ModelFile>): Map<String, String> = RUNTIMES.mapNotNull { (runtime, row) ->
        val order = row.second
        files.filter { fits(runtime, it) }
            .minByOrNull { file -> order.indexOf(file.precision).let { if (it < 0) order.size else it } }
            ?.let { runtime to it.path }
    }.toMap()

    private fun fits(runtime: String, file: ModelFile) =
        file.format == RUNTIMES.getValue(runtime).first && file.face in FACES
}
