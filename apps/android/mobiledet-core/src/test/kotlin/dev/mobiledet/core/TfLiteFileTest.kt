package dev.mobiledet.core

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assume.assumeTrue
import org.junit.Test

class TfLiteFileTest {
    /** Files NUMBER.tflite of so many operators, which check.py writes with LiteRT's own package. */
    private val files = System.getProperty("mobiledet.tflite")?.let { File(it).listFiles().orEmpty().toList() }.orEmpty()

    @Test
    fun itCountsTheOperatorsThatWereWritten() {
        assumeTrue(files.isNotEmpty())
        for (file in files) assertEquals(file.nameWithoutExtension.toInt(), TfLiteFile.operatorCount(file))
    }

    @Test
    fun whatIsCutOffOrNoFileHasNoCount() {
        assertNull(TfLiteFile.operatorCount(File("absent.tflite")))
        val damaged = File.createTempFile("damaged", ".tflite")
        val whole = files.firstOrNull()?.readBytes() ?: "\u0008\u0000\u0000\u0000TFL3".toByteArray()
        for (length in 0 until minOf(whole.size, 40)) {
            damaged.writeBytes(whole.copyOf(length))
            assertNull("$length bytes", TfLiteFile.operatorCount(damaged))
        }
        damaged.writeBytes("noise, and not a model".toByteArray())
        assertNull(TfLiteFile.operatorCount(damaged))
        damaged.delete()
    }
}
