package dev.mobiledet.android

import dev.mobiledet.core.Execution
import dev.mobiledet.core.LoadedModel
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.ModelSpec
import dev.mobiledet.core.RawOutputs
import dev.mobiledet.core.RgbImage
import dev.mobiledet.core.TfLiteFile
import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor

private val OUTPUTS = listOf("boxes", "classes", "scores", "count")
private const val FLOAT_BYTES = 4
private const val DEFAULT_THREADS = 4 // more wait for the slow cores of a phone's processor

/** A .tflite detector in LiteRT: takes one raw RGB image, returns boxes, classes, scores and count. */
internal class LiteRtModel private constructor(
    private val interpreter: Interpreter,
    private val delegate: Delegate?,
    private val signature: String,
    override val execution: Execution,
) : LoadedModel {
    private val inputName = interpreter.getSignatureInputs(signature).single()
    private val isFloat = interpreter.getInputTensorFromSignature(inputName, signature).dataType() == DataType.FLOAT32
    private val input = buffer(interpreter.getInputTensorFromSignature(inputName, signature))
    private val floatInput = input.asFloatBuffer()
    private val floats = FloatArray(if (isFloat) floatInput.capacity() else 0)
    private val outputs = OUTPUTS.associateWith { buffer(interpreter.getOutputTensorFromSignature(it, signature)) }

    override fun setInput(image: RgbImage) {
        input.rewind()
        if (isFloat) {
            for (index in floats.indices) floats[index] = (image.pixels[index].toInt() and 0xff).toFloat()
            floatInput.rewind()
            floatInput.put(floats)
        } else {
            input.put(image.pixels)
        }
    }

    /** Its time includes the copies between buffers and tensors, which LiteRT's Java interface always makes. */
    override fun invoke() {
        input.rewind()
        outputs.values.forEach { it.rewind() }
        try {
            interpreter.runSignature(mapOf(inputName to input), outputs, signature)
        } catch (error: RuntimeException) {
            throw MobileDetException("LiteRT cannot run the file: ${error.message}", error)
        }
    }

    override fun outputs() =
        RawOutputs(floats("boxes"), floats("classes"), floats("scores"), floats("count").single())

    override fun close() {
        interpreter.close()
        (delegate as? Closeable)?.close()
    }

    private fun floats(name: String): FloatArray {
        val buffer = outputs.getValue(name).apply { rewind() }.asFloatBuffer()
        return FloatArray(buffer.remaining()).also { buffer.get(it) }
    }

    private fun buffer(tensor: Tensor) = ByteBuffer.allocateDirect(tensor.numBytes()).order(ByteOrder.nativeOrder())

    internal companion object {
        /**
         * Loads a file; [threads] 0 is one for each core, at most 4.
         *
         * @throws MobileDetException the file cannot be run with this accelerator, or is not such a detector.
         */
        fun load(file: File, spec: ModelSpec, accelerator: String, threads: Int): LiteRtModel {
            val backend = Acceleration.backends[accelerator] ?: throw MobileDetException(
                "unknown accelerator '$accelerator'; this phone has ${Acceleration.backends.keys.joinToString()}",
            )
            val cores = threadCount(threads)
            val delegate = backend.delegate?.invoke()
            var interpreter: Interpreter? = null
            try {
                interpreter = open(file, backend.xnnpack, delegate, cores)
                val signature = signature(interpreter, spec, file.name)
                val share = if (backend.xnnpack) delegatedShare(file, interpreter) else null
                return LiteRtModel(interpreter, delegate, signature, execution(file.name, share, accelerator, backend, cores))
            } catch (error: Throwable) {
                interpreter?.close()
                (delegate as? Closeable)?.close()
                throw error
            }
        }

        internal fun threadCount(requested: Int, cores: Int = Runtime.getRuntime().availableProcessors()): Int =
            if (requested > 0) requested else minOf(cores, DEFAULT_THREADS)

        private fun open(file: File, xnnpack: Boolean, delegate: Delegate?, threads: Int): Interpreter {
            val options = Interpreter.Options().setNumThreads(threads).setUseXNNPACK(xnnpack)
            delegate?.let { options.addDelegate(it) }
            try {
                return Interpreter(file, options).apply { allocateTensors() }
            } catch (error: RuntimeException) {
                throw MobileDetException("LiteRT cannot load ${file.name}: ${error.message}", error)
            } catch (error: UnsatisfiedLinkError) {
                throw MobileDetException("LiteRT's library is not in this app: ${error.message}", error)
            }
        }

        /** How the file is actually executed; a delegate that takes no operation is refused. */
        private fun execution(
            name: String, share: Double?, accelerator: String, backend: Acceleration.Backend, threads: Int,
        ): Execution {
            if (share == 0.0 && backend.delegate != null) {
                throw MobileDetException("$accelerator takes no operation of $name; use xnnpack")
            }
            val onCpu = if (!backend.xnnpack || share == 0.0) "cpu" else "xnnpack"
            return Execution(accelerator, if (backend.delegate != null) accelerator else onCpu, share, threads)
        }

        /** 1 if a delegate runs the whole file, 0 if it runs nothing, else null; from the length of its plan and the file. */
        private fun delegatedShare(file: File, interpreter: Interpreter): Double? {
            val length = planLength(interpreter) ?: return null
            return if (length == 1) 1.0 else if (length == TfLiteFile.operatorCount(file)) 0.0 else null
        }

        /** Number of operations that the interpreter runs; not public in LiteRT, so null if the method is missing. */
        private fun planLength(interpreter: Interpreter): Int? = try {
            val method = interpreter.javaClass.superclass!!.getDeclaredMethod("getExecutionPlanLength")
            method.isAccessible = true
            method.invoke(interpreter) as? Int
        } catch (_: ReflectiveOperationException) {
            null
        }

        private fun signature(interpreter: Interpreter, spec: ModelSpec, name: String): String {
            val signature = interpreter.signatureKeys.firstOrNull { key ->
                interpreter.getSignatureOutputs(key).toList().containsAll(OUTPUTS) && interpreter.getSignatureInputs(key).size == 1
            } ?: throw unusable(name, "it has no signature with one image and ${OUTPUTS.joinToString()}")
            val image = interpreter.getInputTensorFromSignature(interpreter.getSignatureInputs(signature).single(), signature)
            if (image.dataType() != DataType.FLOAT32 && image.dataType() != DataType.UINT8) {
                throw unusable(name, "its input is ${image.dataType()}, not FLOAT32 or UINT8")
            }
            // -1 is a dynamic side, for which some runtimes silently return zeros
            requireShape(name, image, listOf(1, spec.input.height, spec.input.width, RgbImage.CHANNELS))
            val rows = spec.nms.maxDetections
            val shapes = mapOf(
                "boxes" to listOf(1, rows, 4), "classes" to listOf(1, rows), "scores" to listOf(1, rows), "count" to listOf(1),
            )
            for ((output, shape) in shapes) {
                val tensor = interpreter.getOutputTensorFromSignature(output, signature)
                requireShape(name, tensor, shape)
                if (tensor.numBytes() != shape.reduce(Int::times) * FLOAT_BYTES) throw unusable(name, "$output is not FLOAT32")
            }
            return signature
        }

        private fun requireShape(name: String, tensor: Tensor, shape: List<Int>) {
            val found = tensor.shapeSignature().toList()
            if (found != shape) throw unusable(name, "${tensor.name()} is $found, not $shape")
        }

        private fun unusable(name: String, what: String) =
            MobileDetException("$name is not a mobiledet detector: $what; export it with mobiledet export")
    }
}
