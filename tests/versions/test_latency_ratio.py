"""The interval of a ratio of latencies, for runs that are independent and for runs that resemble each other."""

import numpy as np
import pytest

from mobiledet.versions.latency_ratio import independent_runs, median_ratio


def _runs(rng: np.random.Generator, count: int, likeness: float) -> np.ndarray:
    """An autoregressive series around 5 ms."""
    noise = rng.normal(size=count)
    for index in range(1, count):
        noise[index] = likeness * noise[index - 1] + np.sqrt(1 - likeness**2) * noise[index]
    return 5 * np.exp(0.1 * noise)


@pytest.mark.parametrize(("likeness", "factor"), [(0.0, 1.0), (0.9, 10.0)])
def test_runs_that_resemble_each_other_count_for_less(likeness: float, factor: float) -> None:
    counts = [independent_runs(_runs(np.random.default_rng(seed), 2000, likeness)) for seed in range(10)]
    # the sign of a Gaussian series has a shorter memory than the series itself
    assert 2000 / (2 * factor) < np.mean(counts) <= 2000 / (0.4 * factor)


@pytest.mark.parametrize("likeness", [0.0, 0.5, 0.9])
def test_the_interval_holds_the_true_ratio(likeness: float) -> None:
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        _, low, high = median_ratio(_runs(rng, 600, likeness), 1.1 * _runs(rng, 600, likeness))
        held += low <= 1.1 <= high
    assert held >= 51


def test_equal_runs() -> None:
    assert independent_runs(np.full(50, 3.0)) == 50
    assert median_ratio(np.full(50, 3.0), np.full(50, 6.0)) == (2, 2, 2)
