"""The ratio of the latencies of two versions, with a confidence interval for correlated runs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.evaluation.comparison import series_name
from mobiledet.evaluation.result import Latency, Result

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class LatencyRatio:
    """Median latencies and their ratio.

    Attributes:
        old_ms, new_ms: median latencies.
        ratio: new median over old median.
        low, high: 95 % confidence interval of the ratio.
        old_independent, new_independent: effective numbers of independent runs.
        old_runs, new_runs: numbers of runs.
    """

    old_ms: float
    new_ms: float
    ratio: float
    low: float
    high: float
    old_independent: float
    new_independent: float
    old_runs: int
    new_runs: int


def why_apart(old: Result | None, new: Result | None) -> str:
    """Why the latencies of two results cannot be compared; empty if they can."""
    if old is None or new is None or old.latency is None or new.latency is None:
        return "not measured for both"
    ours, theirs = series_name(old), series_name(new)
    if ours != theirs:
        return f"measured in different ways: {ours} against {theirs}"
    return ""


def latency_ratio(old: Latency, new: Latency) -> LatencyRatio:
    """The ratio of the median latencies.

    Successive runs are correlated (clock of the processor, other programs), so n of them are worth fewer than n
    independent ones. The effective number follows from the autocorrelation of being slower than the median; the median
    of that number of runs is resampled, see ``_resampled_median``.
    """
    samples = [np.asarray(latency.infer.samples_ns, np.float64) / 1e6 for latency in (old, new)]
    independent = [independent_runs(values) for values in samples]
    ratio, low, high = median_ratio(*samples)
    return LatencyRatio(
        old_ms=old.p50_ms,
        new_ms=new.p50_ms,
        ratio=ratio,
        low=low,
        high=high,
        old_independent=independent[0],
        new_independent=independent[1],
        old_runs=len(samples[0]),
        new_runs=len(samples[1]),
    )


def median_ratio(old: NDArray[np.float64], new: NDArray[np.float64]) -> tuple[float, float, float]:
    """The ratio of the medians of two series, new / old, and its 95 % interval."""
    rng = np.random.default_rng(0)
    before, after = (_resampled_median(values, independent_runs(values), rng) for values in (old, new))
    low, high = np.quantile(after / before, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return float(np.median(new) / np.median(old)), low, high


def independent_runs(samples: NDArray[np.float64]) -> float:
    """The effective number of independent samples for the median: n over the integrated autocorrelation time.

    The sum of autocorrelations ends at the first lag that is five times the sum so far (A. Sokal, Monte Carlo Methods
    in Statistical Mechanics, 1996, section 3).
    """
    n = len(samples)
    slow = (samples > np.median(samples)) - np.mean(samples > np.median(samples))
    power = np.abs(np.fft.rfft(slow, 2 * n)) ** 2
    covariance = np.fft.irfft(power)[:n]
    if covariance[0] <= 0:  # all values are equal
        return float(n)
    time = 2 * np.cumsum(covariance / covariance[0]) - 1
    window = np.flatnonzero(np.arange(n) >= 5 * time)
    tau = float(time[window[0] if len(window) else n - 1])
    return n / min(max(tau, 1.0), float(n))


def _resampled_median(
    samples: NDArray[np.float64], independent: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Medians of resamples with the effective number of runs, computed without drawing the resamples.

    The middle of n uniform draws has the distribution Beta((n + 1) / 2, (n + 1) / 2); the sample at that quantile is
    the median of a resample.
    """
    half = (independent + 1) / 2
    medians: NDArray[np.float64] = np.quantile(samples, rng.beta(half, half, RESAMPLES))
    return medians
