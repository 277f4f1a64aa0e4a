"""Latency samples and their statistics; whether a warm-up is steady."""

from typing import Any

import numpy as np

from mobiledet.devices.timing import is_steady
from mobiledet.evaluation.latency import LatencyStats

# only the host computes the bootstrap interval of p50
TOLD = ("n", "mean_ms", "std_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "throttled")


def latency_cases() -> list[dict[str, Any]]:
    """Rows of nanoseconds; right to 1e-9 of the value."""
    random = np.random.RandomState(3)
    steady = (5e6 + random.exponential(4e5, 1000)).astype(int).tolist()
    warmer = (np.linspace(5e6, 6.5e6, 250) + random.exponential(1e5, 250)).astype(int).tolist()
    rows = {
        "one": [1_234_567],
        "two": [3_000_000, 1_000_000],
        "four": [4, 3, 2, 1],
        "five, last one slow": [100, 100, 100, 100, 111],
        "ratio of exactly 1.10": [100, 105, 105, 105, 110],
        "equal": [7_000_000] * 10,
        "zeros": [0] * 5,
        "199, no p99": steady[:199],
        "200, p99": steady[:200],
        "1000": steady,
        "throttled": warmer,
        "faster with time": warmer[::-1],
    }
    cases = []
    for name, samples in rows.items():
        stats = LatencyStats.of(samples)
        cases.append({"name": name, "samples_ns": samples, **{field: getattr(stats, field) for field in TOLD}})
    return cases


def steady_cases() -> list[dict[str, Any]]:
    """Runs of a warm-up, and whether it is steady with a number of ``warmup_runs``."""
    cases = []
    for warmup_runs, runs in (
        (0, [5]),
        (0, [5, 5]),
        (1, [100, 105]),
        (1, [106, 100]),
        (4, [9, 9, 9]),
        (4, [9, 9, 9, 9]),
        (5, [1, 1, 1, 1, 1]),
        (5, [100, 1000, 100, 104, 2000, 104]),
        (4, [900, 900, 100, 100, 100, 100]),
        (4, [100, 100, 110, 111]),
        (10, [100 + index for index in range(10)]),
        (2, [0, 0]),
    ):
        cases.append({"warmup_runs": warmup_runs, "infer_ns": runs, "steady": is_steady(runs, warmup_runs)})
    return cases
