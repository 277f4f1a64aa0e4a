import statistics

import numpy as np
import pytest

from mobiledet.evaluation.latency import LatencyStats


def _samples(count: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).lognormal(16, 0.3, count).astype(int).tolist()


@pytest.mark.parametrize("count", [2, 5, 51, 1234])
def test_statistics_agree_with_numpy_and_the_standard_library(count: int) -> None:
    samples = _samples(count, seed=count)
    stats = LatencyStats.of(samples)
    in_ms = [sample / 1e6 for sample in samples]
    assert stats.samples_ns == tuple(samples)
    assert stats.n == count
    assert stats.mean_ms == pytest.approx(statistics.fmean(in_ms))
    assert stats.std_ms == pytest.approx(statistics.stdev(in_ms))
    assert stats.min_ms == min(in_ms)
    hundredths = statistics.quantiles(in_ms, n=100, method="inclusive")
    for p, value in ((50, stats.p50_ms), (90, stats.p90_ms), (95, stats.p95_ms)):
        assert value == pytest.approx(hundredths[p - 1])
        assert value == pytest.approx(np.percentile(in_ms, p))


@pytest.mark.parametrize(("count", "known"), [(199, False), (200, True)])
def test_p99_needs_200_samples(count: int, known: bool) -> None:
    samples = _samples(count)
    stats = LatencyStats.of(samples)
    assert (stats.p99_ms is not None) == known
    if known:
        assert stats.p99_ms == pytest.approx(np.percentile(samples, 99) / 1e6)


def test_interval_holds_the_true_median_and_narrows() -> None:
    """Over 100 draws from a known distribution the 95 % interval must hold its median nearly always."""
    true_median = np.exp(16) / 1e6
    held = 0
    for seed in range(100):
        stats = LatencyStats.of(_samples(60, seed))
        assert stats.p50_low_ms <= stats.p50_ms <= stats.p50_high_ms
        held += stats.p50_low_ms <= true_median <= stats.p50_high_ms
    assert 88 <= held <= 100
    few, many = LatencyStats.of(_samples(50)), LatencyStats.of(_samples(5000))
    assert many.p50_high_ms - many.p50_low_ms < (few.p50_high_ms - few.p50_low_ms) / 3


def test_interval_is_the_same_each_time() -> None:
    assert LatencyStats.of(_samples(70)) == LatencyStats.of(_samples(70))


@pytest.mark.parametrize(("slower", "throttled"), [(1.0, False), (1.09, False), (1.12, True), (0.8, False)])
def test_throttled_compares_the_last_fifth_with_the_first(slower: float, throttled: bool) -> None:
    samples = [10_000_000] * 40 + [int(10_000_000 * slower)] * 10
    assert LatencyStats.of(samples).throttled is throttled


def test_one_sample_and_none() -> None:
    stats = LatencyStats.of([2_500_000])
    assert (stats.p50_ms, stats.p95_ms, stats.std_ms, stats.throttled) == (2.5, 2.5, 0, False)
    with pytest.raises(ValueError, match="at least one sample"):
        LatencyStats.of([])
