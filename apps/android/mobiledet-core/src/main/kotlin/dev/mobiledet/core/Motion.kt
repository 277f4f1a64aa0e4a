package dev.mobiledet.core

// standard deviations relative to the box's width or height; of velocities per frame
private const val PLACE = 0.05
private const val VELOCITY = 0.00625
private const val FIRST_PLACE = 0.1
private const val FIRST_VELOCITY = 0.0625

private const val NUMBERS = 4

/**
 * Predicts the motion of a box by a Kalman filter with constant velocity, like mobiledet/tracking/motion.py: the same
 * operations in the same order, so that results are equal to the bit.
 *
 * @param box x1, y1, x2, y2, seen for the first time; it starts at rest.
 */
internal class Motion(box: DoubleArray) {
    private val place = toCxcywh(box)
    private val velocity = DoubleArray(NUMBERS)
    private val placeVariance = DoubleArray(NUMBERS) { spread(FIRST_PLACE, it) * spread(FIRST_PLACE, it) }
    private val covariance = DoubleArray(NUMBERS)
    private val velocityVariance = DoubleArray(NUMBERS) { spread(FIRST_VELOCITY, it) * spread(FIRST_VELOCITY, it) }

    /** The box: x1, y1, x2, y2. */
    val box: DoubleArray
        get() {
            val (x, y, width, height) = place
            return doubleArrayOf(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        }

    /** Predicts the next frame; a box that was [lost] in the last frame keeps its size. */
    fun predict(lost: Boolean) {
        if (lost) velocity.fill(0.0, 2)
        val spreads = DoubleArray(NUMBERS) { spread(PLACE, it) }
        val drifts = DoubleArray(NUMBERS) { spread(VELOCITY, it) }
        for (i in 0 until NUMBERS) {
            place[i] += velocity[i]
            placeVariance[i] = placeVariance[i] + 2 * covariance[i] + velocityVariance[i] + spreads[i] * spreads[i]
            covariance[i] += velocityVariance[i]
            velocityVariance[i] += drifts[i] * drifts[i]
        }
    }

    /** Updates the filter with a measured box. */
    fun correct(box: DoubleArray) {
        val measured = toCxcywh(box)
        val spreads = DoubleArray(NUMBERS) { spread(PLACE, it) }
        for (i in 0 until NUMBERS) {
            val total = placeVariance[i] + spreads[i] * spreads[i]
            val gain = placeVariance[i] / total
            val pull = covariance[i] / total
            val missedBy = measured[i] - place[i]
            place[i] += gain * missedBy
            velocity[i] += pull * missedBy
            velocityVariance[i] -= pull * covariance[i]
            placeVariance[i] -= gain * placeVariance[i]
            covariance[i] -= gain * covariance[i]
        }
    }

    /** [share] of the width or height, whichever the number is relative to. */
    private fun spread(share: Double, number: Int) = share * place[2 + number % 2]
}

/** Converts a box from xyxy to centre x, centre y, width, height. */
private fun toCxcywh(box: DoubleArray): DoubleArray {
    val (x1, y1, x2, y2) = box
    return doubleArrayOf((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
}
