"""Benchmarks that cannot be, told by an agent: each is refused with its reason."""

import dataclasses
from typing import Any

import pytest

from mobiledet.devices.agent.answers import check_benchmark
from mobiledet.devices.base import BenchmarkPlan, BenchmarkSamples, ColdStart, DeviceState
from mobiledet.errors import UserError

MS = 1_000_000
STATE = DeviceState(1, 1, {}, None, None)
PLAN = BenchmarkPlan(warmup_runs=2, warmup_seconds=0, warmup_limit_seconds=0, runs=3, seconds=0)
SOUND = BenchmarkSamples(
    infer_ns=(10 * MS,) * 3,
    started_ns=(0, 11 * MS, 22 * MS),
    warmup_ns=(12 * MS,) * 2,
    steady=True,
    cold_starts=(ColdStart(5 * MS, 20 * MS, None),),
    states=(STATE, STATE),
    state_ns=(-1, 40 * MS),
)


def test_sound_samples_pass() -> None:
    check_benchmark(SOUND, PLAN, seconds=0.1)
    paced = dataclasses.replace(SOUND, started_ns=(0, 50 * MS + 1000, 150 * MS - 1000))
    check_benchmark(paced, dataclasses.replace(PLAN, fps=20), seconds=0.3)


@pytest.mark.parametrize(
    ("samples", "plan", "reason"),
    [
        ({"infer_ns": (10 * MS,) * 2}, {}, "took 2 samples of 3; its benchmark is worthless"),
        ({"warmup_ns": (MS,)}, {}, "took 1 warm-up runs of 2"),
        ({"cold_starts": ()}, {}, "took 0 cold starts of 1"),
        ({"states": (STATE,), "state_ns": (0,)}, {}, "took 1 states of 2"),
        ({"started_ns": (0, 1)}, {}, "does not report the time of each run"),
        ({"state_ns": (0,)}, {}, "does not report the time of each run"),
        ({"infer_ns": (10 * MS, -1, 10 * MS)}, {}, "clock went back: something took -1 ns"),
        ({"started_ns": (0, 5 * MS, 22 * MS)}, {}, "the agent's runs overlap"),
        ({"started_ns": (-5, 11 * MS, 22 * MS)}, {}, "the agent's runs overlap"),
        ({"infer_ns": (10**12,) * 3, "started_ns": (0, 10**12, 2 * 10**12)}, {}, "nanoseconds of a monotonic clock"),
        ({"started_ns": (0, 11 * MS, 10**10)}, {}, "the agent's runs took 10.010 s"),
        ({}, {"seconds": 5}, r"the agent's runs took 0.032 s, 5 s were requested"),
        ({}, {"fps": 20}, "ran more than once on one image of 20 a second"),
        (
            {"states": (STATE, dataclasses.replace(STATE, foreground=False))},
            {},
            "the app was not in the foreground while it was measured",
        ),
    ],
)
def test_impossible_samples(samples: dict[str, Any], plan: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        check_benchmark(dataclasses.replace(SOUND, **samples), dataclasses.replace(PLAN, **plan), seconds=0.1)
