package dev.mobiledet.core.agent

import dev.mobiledet.core.RgbImage

private const val LENGTH_BYTES = 4

/** Splits a body into images or tensors; refuses a malformed one. */
internal object Batches {
    /** The range of each image; each is preceded by its length in four bytes, big-endian. */
    fun images(batch: ByteArray): List<IntRange> {
        val images = ArrayList<IntRange>()
        var start = 0
        while (start < batch.size) {
            val begin = start + LENGTH_BYTES
            if (begin > batch.size) throw truncated(images.size)
            val length = (start until begin).fold(0L) { sum, at -> (sum shl 8) or (batch[at].toLong() and 0xff) }
            if (length > batch.size - begin) throw truncated(images.size)
            start = begin + length.toInt()
            images += begin until start
        }
        if (images.isEmpty()) throw Refusal.badRequest("the batch holds no image")
        return images
    }

    /** The number of inputs of height x width x 3 bytes. */
    fun tensors(bytes: Int, height: Int, width: Int): Int {
        val one = height * width * RgbImage.CHANNELS
        if (bytes == 0 || bytes % one != 0) {
            throw Refusal.badRequest("$bytes bytes are not a whole number of inputs of $height x $width x ${RgbImage.CHANNELS}")
        }
        return bytes / one
    }

    private fun truncated(index: Int) = Refusal.badRequest("image $index of the batch extends beyond the end of the body")
}
