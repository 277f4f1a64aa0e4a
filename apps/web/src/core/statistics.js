// Statistics of latency samples; the same numbers as mobiledet/evaluation/latency.py.

/**
 * The sorted sample at rank share * (n - 1), with linear interpolation between neighbours.
 *
 * @param {number[]} samples at least one
 * @param {number} share 0..1
 */
export function percentile(samples, share) {
  const sorted = Float64Array.from(samples).sort();
  const rank = share * (sorted.length - 1);
  const low = Math.floor(rank);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (rank - low);
}

/** @param {number[]} samples at least one */
export function mean(samples) {
  return samples.reduce((sum, value) => sum + value, 0) / samples.length;
}

/** Sample standard deviation (n - 1); 0 for one sample. */
export function standardDeviation(samples) {
  if (samples.length < 2) return 0;
  const centre = mean(samples);
  const squares = samples.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (samples.length - 1));
}
