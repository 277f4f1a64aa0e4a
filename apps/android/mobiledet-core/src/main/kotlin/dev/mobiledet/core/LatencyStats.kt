package dev.mobiledet.core

import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

private const val P99_SAMPLES = 200
private const val THROTTLED_RATIO = 1.10
private const val NS_PER_MS = 1e6

/**
 * Statistics of latency samples, in milliseconds.
 *
 * Percentile p is the sorted sample at rank p/100 * (n - 1), with linear interpolation between neighbours.
 *
 * @property stdMs sample standard deviation (n - 1); 0 for one sample.
 * @property p99Ms null with fewer than 200 samples.
 * @property throttled whether the p50 of the last fifth of the samples is more than 1.10 times that of the first fifth.
 */
public data class LatencyStats(
    val n: Int,
    val meanMs: Double,
    val stdMs: Double,
    val minMs: Double,
    val p50Ms: Double,
    val p90Ms: Double,
    val p95Ms: Double,
    val p99Ms: Double?,
    val throttled: Boolean,
) {
    public companion object {
        /** Computes the statistics of at least one sample; samples are in nanoseconds, in the order in which they were taken. */
        @JvmStatic
        public fun of(samplesNs: LongArray): LatencyStats {
            require(samplesNs.isNotEmpty()) { "latency statistics need at least one sample" }
            val samples = DoubleArray(samplesNs.size) { samplesNs[it] / NS_PER_MS }
            val sorted = samples.sortedArray()
            val mean = samples.average()
            val squares = samples.sumOf { (it - mean) * (it - mean) }
            val fifth = max(1, samples.size / 5)
            val first = percentile(samples.copyOf(fifth).sortedArray(), 50)
            val last = percentile(samples.copyOfRange(samples.size - fifth, samples.size).sortedArray(), 50)
            return LatencyStats(
                n = samples.size,
                meanMs = mean,
                stdMs = if (samples.size > 1) sqrt(squares / (samples.size - 1)) else 0.0,
                minMs = sorted[0],
                p50Ms = percentile(sorted, 50),
                p90Ms = percentile(sorted, 90),
                p95Ms = percentile(sorted, 95),
                p99Ms = if (samples.size >= P99_SAMPLES) percentile(sorted, 99) else null,
                throttled = last > THROTTLED_RATIO * first,
            )
        }

        private fun percentile(sorted: DoubleArray, percent: Int): Double {
            val rank = percent / 100.0 * (sorted.size - 1)
            val low = floor(rank).toInt()
            val high = min(low + 1, sorted.size - 1)
            return sorted[low] + (sorted[high] - sorted[low]) * (rank - low)
        }
    }
}
