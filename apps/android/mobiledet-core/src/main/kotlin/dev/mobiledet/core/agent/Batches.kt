package dev.mobiledet.core.agent

import dev.mobiledet.core.RgbImage

private const val LENGTH_BYTES = 4

/** What a body of images or tensors holds; one that does not add up is refused. */
internal object Batches {
    /** Where each image lies: four bytes of length stand before it, highest first. */
    fun images(batch: ByteArray): List<IntRange> {
        val images = ArrayList<IntRange>()
        var start = 0
        while (start < batch.size) {
            val begin = start + LENGTH_BYTES
            if (begin > batch.size) throw cut(images.size)
            val length = (start until begin).fold(0L) { sum, at -> (sum shl 8) or (batch[at].toLong() and 0xff) }
            if (length > batch.size - begin) throw cut(images.size)
            start = begin + length.toInt()
            images += begin until start
        }
        if (images.isEmpty()) throw Refusal.badRequest("the batch holds no image")
        return images
    }

    /** How many inputs of height x width x 3 bytes there are. */
    fun tensors(bytes: Int, height: Int, width: Int): Int {
        val one = height * width * RgbImage.CHANNELS
        if (bytes == 0 || bytes % one != 0) {
            throw Refusal.badRequest("$bytes bytes are not a number of inputs of $height x $width x ${RgbImage.CHANNELS}")
        }
        return bytes / one
    }

    private fun cut(index: Int) = Refusal.badRequest("image $index of the batch ends behind the end of the body")
}
