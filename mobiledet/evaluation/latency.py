"""What raw latency samples say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

P99_SAMPLES = 200
THROTTLED_RATIO = 1.10
BOOTSTRAP_RESAMPLES = 10_000
BOOTSTRAP_LEVEL = 0.95


@dataclass(frozen=True)
class LatencyStats:
    """Statistics of latency samples, in milliseconds, with the samples they come from.

    A percentile p is the sample at rank p/100 * (n - 1), counted from 0 in sorted order, linear between neighbours
    (numpy's default; type 7 of Hyndman and Fan, 1996).

    Attributes:
        samples_ns: the raw samples in the order they were taken.
        n: how many.
        mean_ms: arithmetic mean.
        std_ms: sample standard deviation (n - 1); 0 for one sample.
        min_ms: the fastest.
        p50_ms, p90_ms, p95_ms: percentiles.
        p99_ms: from 200 samples on, else None.
        p50_low_ms, p50_high_ms: 95 % bootstrap interval of p50 (percentile method, 10,000 resamples, fixed seed).
        throttled: p50 of the last fifth of the samples is more than 1.10 times that of the first fifth.
    """

    samples_ns: tuple[int, ...]
    n: int
    mean_ms: float
    std_ms: float
    min_ms: float
    p50_ms: float
    p50_low_ms: float
    p50_high_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float | None
    throttled: bool

    @classmethod
    def of(cls, samples_ns: Sequence[int]) -> "LatencyStats":
        """The statistics of at least one sample, in nanoseconds."""
        if not samples_ns:
            raise ValueError("latency statistics need at least one sample")
        samples = np.asarray(samples_ns, np.float64) / 1e6
        p50, p90, p95, p99 = np.percentile(samples, [50, 90, 95, 99]).tolist()
        low, high = _bootstrap_p50(samples)
        fifth = max(1, len(samples) // 5)
        return cls(
            samples_ns=tuple(int(sample) for sample in samples_ns),
            n=len(samples),
            mean_ms=float(samples.mean()),
            std_ms=float(samples.std(ddof=1)) if len(samples) > 1 else 0.0,
            min_ms=float(samples.min()),
            p50_ms=p50,
            p50_low_ms=low,
            p50_high_ms=high,
            p90_ms=p90,
            p95_ms=p95,
            p99_ms=p99 if len(samples) >= P99_SAMPLES else None,
            throttled=bool(np.median(samples[-fifth:]) > THROTTLED_RATIO * np.median(samples[:fifth])),
        )


def _bootstrap_p50(samples: np.ndarray) -> tuple[float, float]:
    """Interval that holds p50 of most resamples.

    No resample is drawn: the r-th smallest of n uniform draws has the distribution Beta(r, n + 1 - r), so the median of
    a resample is the sample at that rank. For an even n the next one follows it by (1 - rank) * Beta(1, n - r).
    Minutes of samples cost no more than a few.
    """
    rng, ordered, n = np.random.default_rng(0), np.sort(samples), len(samples)
    rank = (n + 1) // 2
    lower = rng.beta(rank, n + 1 - rank, BOOTSTRAP_RESAMPLES)
    upper = lower if n % 2 else lower + (1 - lower) * rng.beta(1, n - rank, BOOTSTRAP_RESAMPLES)
    medians = (ordered[(lower * n).astype(int).clip(0, n - 1)] + ordered[(upper * n).astype(int).clip(0, n - 1)]) / 2
    tail = 100 * (1 - BOOTSTRAP_LEVEL) / 2
    low, high = np.percentile(medians, [tail, 100 - tail])
    return float(low), float(high)
