package dev.mobiledet.core

// standard deviations as shares of the box's width or height, of velocities in a frame
private const val PLACE = 0.05
private const val VELOCITY = 0.00625
private const val FIRST_PLACE = 0.1
private const val FIRST_VELOCITY = 0.0625

private const val NUMBERS = 4

/**
 * Where a box goes: a Kalman filter of constant velocity, as in mobiledet/tracking/motion.py: the same numbers, in the same
 * order, so that the same bits come out.
 *
 * @param box x1, y1, x2, y2, seen for the first time; it stands still.
 */
internal class Motion(box: DoubleArray) {
    private val place = centred(box)
    private val velocity = DoubleArray(NUMBERS)
    private val placeVariance = DoubleArray(NUMBERS) { spread(FIRST_PLACE, it) * spread(FIRST_PLACE, it) }
    private val covariance = DoubleArray(NUMBERS)
    private val velocityVariance = DoubleArray(NUMBERS) { spread(FIRST_VELOCITY, it) * spread(FIRST_VELOCITY, it) }

    /** Its corners. */
    val box: DoubleArray
        get() {
            val (x, y, width, height) = place
            return doubleArrayOf(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        }

    /** One frame on; what was [lost] in the last one keeps its size. */
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

    /** It was [seen] here. */
    fun correct(seen: DoubleArray) {
        val measured = centred(seen)
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

    /** A share of the width or height, whichever the number is measured by. */
    private fun spread(share: Double, number: Int) = share * place[2 + number % 2]
}

/** Centre x, centre y, width and height. */
private fun centred(box: DoubleArray): DoubleArray {
    val (x1, y1, x2, y2) = box
    return doubleArrayOf((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
}
