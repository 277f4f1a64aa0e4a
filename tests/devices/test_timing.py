"""Benchmark plans on a clock that is moved by hand: a double of time, so that every moment is known."""

from collections.abc import Callable, Sequence

import pytest

from mobiledet.devices.base import BenchmarkPlan, DeviceState
from mobiledet.devices.timing import Runner, TimedRuns, is_steady, time_runs

MS = 1_000_000


class Clock:
    """Goes on by what runs take, and when somebody sleeps, who oversleeps a little."""

    def __init__(self) -> None:
        self.now = 5_000 * MS
        self.slept: list[float] = []

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += int(seconds * 1e9) + 50_000


def _measure(plan: BenchmarkPlan, run_ms: Callable[[int], float] = lambda index: 10) -> tuple[TimedRuns, Clock]:
    """Time runs that take so many milliseconds each; to set the input and to read a state takes 1 ms."""
    clock = Clock()
    count = 0

    def forward(ms: float) -> None:
        clock.now += int(ms * MS)

    def invoke() -> None:
        nonlocal count
        forward(run_ms(count))
        count += 1

    def read_state() -> DeviceState:
        forward(1)
        return DeviceState(clock.now, None, {}, None, None)

    runner = Runner(lambda: forward(1), invoke, read_state, clock_ns=clock, sleep=clock.sleep)
    return time_runs(runner, plan), clock


def _plan(**changes: float) -> BenchmarkPlan:
    values = {"warmup_runs": 0, "warmup_seconds": 0, "warmup_limit_seconds": 0, "runs": 1, "seconds": 0, **changes}
    return BenchmarkPlan(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("runs", "seconds", "expected"), [(7, 0, 7), (1, 0.1, 10), (20, 0.1, 20)])
def test_both_runs_and_seconds_are_reached(runs: int, seconds: float, expected: int) -> None:
    timed, _ = _measure(_plan(warmup_runs=runs, warmup_seconds=seconds, runs=runs, seconds=seconds))
    assert timed.infer_ns == (10 * MS,) * expected
    assert timed.warmup_ns == (10 * MS,) * expected
    assert timed.started_ns == tuple(11 * MS * index for index in range(expected))


def test_warm_up_goes_on_until_it_is_steady() -> None:
    """The first 30 runs become faster step by step; half of 10 runs look back on 5 and the 5 before them."""
    timed, _ = _measure(_plan(warmup_runs=10, warmup_limit_seconds=10), lambda index: max(10, 40 - index))
    assert timed.steady
    assert 30 <= len(timed.warmup_ns) <= 40
    assert timed.infer_ns[0] == 10 * MS


def test_warm_up_that_never_is_steady_ends_and_says_so() -> None:
    timed, _ = _measure(_plan(warmup_runs=10, warmup_limit_seconds=1), lambda index: 10 * 1.05**index)
    assert not timed.steady
    assert 1000 <= sum(timed.warmup_ns) / MS + len(timed.warmup_ns) < 1300


@pytest.mark.parametrize(
    ("infer_ns", "warmup_runs", "steady"),
    [
        ([100] * 10, 10, True),
        ([100] * 9, 10, False),
        ([100] * 9, 9, False),
        ([100] * 5 + [105] * 5, 10, True),
        ([100] * 5 + [106] * 5, 10, False),
        ([106] * 5 + [100] * 5, 10, False),
        ([900] + [100] * 10, 10, True),
        ([100, 100, 900, 100, 100] * 2, 10, True),
        ([100, 100], 0, True),
        ([100], 1, False),
    ],
)
def test_steady(infer_ns: Sequence[int], warmup_runs: int, steady: bool) -> None:
    assert is_steady(infer_ns, warmup_runs) is steady


def test_paced_runs_begin_when_their_image_is_there() -> None:
    timed, clock = _measure(_plan(runs=5, fps=20))
    assert timed.started_ns == tuple(50 * MS * index + (50_000 if index else 0) for index in range(5))
    assert len(clock.slept) == 4
    assert clock.slept[0] == pytest.approx(0.039)


def test_images_that_come_while_the_device_is_busy_are_lost() -> None:
    """70 ms take longer than the 50 ms between two images: each second one is taken, and none is made up for."""
    timed, _ = _measure(_plan(runs=6, fps=20), lambda index: 70 if index < 4 else 10)
    assert [round(start / MS) for start in timed.started_ns] == [0, 100, 200, 300, 400, 450]


def test_warm_up_keeps_the_same_pace() -> None:
    _, clock = _measure(_plan(warmup_runs=4, runs=1, fps=20))
    assert len(clock.slept) == 3


def test_states_are_read_along_the_way() -> None:
    timed, _ = _measure(_plan(seconds=1, state_seconds=0.3))
    assert len(timed.states) == len(timed.state_ns) == 2 + 3
    assert timed.state_ns[0] < 0 < timed.state_ns[1]
    gaps = [b - a for a, b in zip(timed.state_ns, timed.state_ns[1:], strict=False)]
    assert all(300 * MS <= gap <= 311 * MS for gap in gaps[:3])
    assert timed.state_ns[-1] >= timed.started_ns[-1] + timed.infer_ns[-1]
    assert len(_measure(_plan(seconds=1, state_seconds=0))[0].states) == 2
