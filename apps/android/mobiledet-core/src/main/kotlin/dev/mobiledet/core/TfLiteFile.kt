package dev.mobiledet.core

import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel

private const val IDENTIFIER = "TFL3"
private const val MODEL_SUBGRAPHS = 2 // positions of fields in TensorFlow Lite's schema.fbs
private const val SUBGRAPH_OPERATORS = 3

/** Reads what a .tflite file says of itself, without loading it in a runtime. */
public object TfLiteFile {
    /** Number of operators in the main graph; null if it cannot be read. */
    @JvmStatic
    public fun operatorCount(file: File): Int? = try {
        RandomAccessFile(file, "r").use { opened ->
            val content = opened.channel.map(FileChannel.MapMode.READ_ONLY, 0, opened.length()).order(ByteOrder.LITTLE_ENDIAN)
            count(content)
        }
    } catch (_: IOException) {
        null
    } catch (_: IndexOutOfBoundsException) { // cut off or damaged
        null
    }

    private fun count(content: ByteBuffer): Int? {
        val identifier = String(CharArray(IDENTIFIER.length) { content.get(Int.SIZE_BYTES + it).toInt().toChar() })
        if (identifier != IDENTIFIER) return null
        val subgraphs = vector(content, target(content, 0), MODEL_SUBGRAPHS) ?: return null
        if (content.getInt(subgraphs) < 1) return null
        val operators = vector(content, target(content, subgraphs + Int.SIZE_BYTES), SUBGRAPH_OPERATORS)
        return if (operators == null) 0 else content.getInt(operators).takeIf { it >= 0 }
    }

    /** Where a table's vector begins, with its length; null if the table lacks it. */
    private fun vector(content: ByteBuffer, table: Int, field: Int): Int? {
        val layout = table - content.getInt(table)
        val entry = 2 * Short.SIZE_BYTES + field * Short.SIZE_BYTES
        if (entry >= content.getShort(layout)) return null
        val place = content.getShort(layout + entry).toInt() and 0xffff
        return if (place == 0) null else target(content, table + place)
    }

    private fun target(content: ByteBuffer, reference: Int): Int = reference + content.getInt(reference)
}
