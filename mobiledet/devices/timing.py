"""Warms up and times a loaded model file according to a plan; used by every agent's benchmark."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mobiledet.devices.base import BenchmarkPlan, DeviceState

STEADY_RATIO = 1.05  # largest ratio between the medians of the latest runs and of those before them
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class TimedRuns:
    """The measurements of a loaded file; the fields are those of ``BenchmarkSamples``."""

    infer_ns: tuple[int, ...]
    started_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    steady: bool
    states: tuple[DeviceState, ...]
    state_ns: tuple[int, ...]


@dataclass(frozen=True)
class Runner:
    """Functions to run a loaded model file and to read clock and state.

    Attributes:
        prepare: sets the input; not timed.
        invoke: runs the file.
        read_state: reads the state of the device.
        between_runs: called before each run; may raise to stop the benchmark.
        clock_ns: monotonic clock in nanoseconds.
        sleep: sleeps for some seconds.
    """

    prepare: Callable[[], None]
    invoke: Callable[[], None]
    read_state: Callable[[], DeviceState]
    between_runs: Callable[[], None] = lambda: None
    clock_ns: Callable[[], int] = time.perf_counter_ns
    sleep: Callable[[float], None] = time.sleep


def time_runs(runner: Runner, plan: BenchmarkPlan) -> TimedRuns:
    """Warm up and measure; see ``BenchmarkPlan`` and apps/PROTOCOL.md."""
    warmup = _Runs(runner, plan.fps)
    while not (_reached(warmup, plan.warmup_runs, plan.warmup_seconds) and _warm(warmup, plan)):
        warmup.add()
    steady = plan.warmup_limit_seconds == 0 or is_steady(warmup.infer_ns, plan.warmup_runs)

    state_times, states = [runner.clock_ns()], [runner.read_state()]
    timed = _Runs(runner, plan.fps)
    while not _reached(timed, plan.runs, plan.seconds):
        if plan.state_seconds and runner.clock_ns() - state_times[-1] >= plan.state_seconds * SECOND_NS:
            state_times.append(runner.clock_ns())
            states.append(runner.read_state())
        timed.add()
    state_times.append(runner.clock_ns())
    states.append(runner.read_state())
    return TimedRuns(
        infer_ns=tuple(timed.infer_ns),
        started_ns=tuple(started - timed.origin_ns for started in timed.started_ns),
        warmup_ns=tuple(warmup.infer_ns),
        steady=steady,
        states=tuple(states),
        state_ns=tuple(at - timed.origin_ns for at in state_times),
    )


def is_steady(infer_ns: Sequence[int], warmup_runs: int) -> bool:
    """Whether the medians of the latest runs and of those before (half of ``warmup_runs`` each) are within 5 %."""
    count = max(1, math.ceil(warmup_runs / 2))
    if len(infer_ns) < 2 * count:
        return False
    medians = [statistics.median(infer_ns[-count:]), statistics.median(infer_ns[-2 * count : -count])]
    return max(medians) <= STEADY_RATIO * min(medians)


def _reached(runs: "_Runs", least: int, seconds: float) -> bool:
    return len(runs.infer_ns) >= least and runs.spent_ns >= seconds * SECOND_NS


def _warm(warmup: "_Runs", plan: BenchmarkPlan) -> bool:
    if warmup.spent_ns >= plan.warmup_limit_seconds * SECOND_NS:
        return True
    return is_steady(warmup.infer_ns, plan.warmup_runs)


class _Runs:
    """Runs of a file, at the rate of a camera or without pause.

    Args:
        runner: the loaded file.
        fps: images that the camera delivers in a second; 0 for no camera.
    """

    def __init__(self, runner: Runner, fps: float) -> None:
        self._runner = runner
        self._fps = fps
        self._began_ns = runner.clock_ns()
        self.infer_ns: list[int] = []
        self.started_ns: list[int] = []
        self.origin_ns = self._began_ns

    @property
    def spent_ns(self) -> int:
        """Time since the start."""
        return self._runner.clock_ns() - self._began_ns

    def add(self) -> None:
        """Run once more."""
        runner = self._runner
        runner.between_runs()
        runner.prepare()
        if self._fps:
            self._wait_for_image()
        started = runner.clock_ns()
        runner.invoke()
        self.infer_ns.append(runner.clock_ns() - started)
        self.started_ns.append(started)
        if not self._fps:
            self.origin_ns = self.started_ns[0]

    def _wait_for_image(self) -> None:
        """Wait for the next image of the camera; images that arrived while the device was busy are skipped."""
        now = self._runner.clock_ns()
        if not self.started_ns:
            self.origin_ns = now
            return
        interval = SECOND_NS / self._fps
        last = (self.started_ns[-1] - self.origin_ns) // interval
        due = self.origin_ns + max(last + 1, math.ceil((now - self.origin_ns) / interval)) * interval
        while (left := due - self._runner.clock_ns()) > 0:
            self._runner.sleep(left / SECOND_NS)
