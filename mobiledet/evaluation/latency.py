"""Statistics of raw latency samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mobiledet.devices.base import Nanoseconds
from mobiledet.records import Range

Milliseconds = Annotated[float, Range(0)]

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
        samples_ns: the raw samples in the order in which they were taken.
        n: number of samples.
        mean_ms: arithmetic mean.
        std_ms: sample standard deviation (n - 1); 0 for one sample.
        min_ms: minimum.
        p50_ms, p90_ms, p95_ms: percentiles.
        p99_ms: percentile; None for fewer than 200 samples.
        p50_low_ms, p50_high_ms: 95 % bootstrap interval of p50 (percentile method, 10,000 resamples, fixed seed).
        throttled: p50 of the last fifth of the samples is more than 1.10 times that of the first fifth.
    """

    samples_ns: Annotated[tuple[Nanoseconds, ...], Range(1)]
    n: Annotated[int, Range(1)]
    mean_ms: Milliseconds
    std_ms: Milliseconds
    min_ms: Milliseconds
    p50_ms: Milliseconds
    p50_low_ms: Milliseconds
    p50_high_ms: Milliseconds
    p90_ms: Milliseconds
    p95_ms: Milliseconds
    p99_ms: Milliseconds | None
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

    def check(self, where: str) -> None:
        """Check statistics that were read from a file against their samples.

        Raises:
            ValueError: they do not belong to these samples.
        """
        samples = np.asarray(self.samples_ns, np.float64) / 1e6
        p0, p50, p90, p95, p99 = np.percentile(samples, [0, 50, 90, 95, 99]).tolist()
        expected = {"min_ms": p0, "p50_ms": p50, "p90_ms": p90, "p95_ms": p95, "mean_ms": float(samples.mean())}
        if self.p99_ms is not None:
            expected["p99_ms"] = p99
        for name, value in expected.items():
            if not math.isclose(getattr(self, name), value, rel_tol=1e-6, abs_tol=1e-9):
                raise ValueError(f"{where}.{name} is {getattr(self, name):g}, but its samples give {value:g}")
        if self.n != len(samples) or not self.p50_low_ms <= self.p50_high_ms:
            raise ValueError(f"{where} counts {self.n} of {len(samples)} samples, or has an inverted interval")


def _bootstrap_p50(samples: np.ndarray) -> tuple[float, float]:
    """Bootstrap interval of p50.

    The medians are drawn directly instead of resamples: the r-th smallest of n uniform draws has the distribution
    Beta(r, n + 1 - r), so the median of a resample is the sample at that rank. For an even n the next one follows at a
    distance of (1 - rank) * Beta(1, n - r). So the cost does not depend on the number of samples.
    """
    rng, ordered, n = np.random.default_rng(0), np.sort(samples), len(samples)
    rank = (n + 1) // 2
    lower = rng.beta(rank, n + 1 - rank, BOOTSTRAP_RESAMPLES)
    upper = lower if n % 2 else lower + (1 - lower) * rng.beta(1, n - rank, BOOTSTRAP_RESAMPLES)
    medians = (ordered[(lower * n).astype(int).clip(0, n - 1)] + ordered[(upper * n).astype(int).clip(0, n - 1)]) / 2
    tail = 100 * (1 - BOOTSTRAP_LEVEL) / 2
    low, high = np.percentile(medians, [tail, 100 - tail])
    return float(low), float(high)
