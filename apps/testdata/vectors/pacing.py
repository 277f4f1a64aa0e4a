"""Which frames of a camera the detector gets: the reference of the apps' ``FramePacer``, and its decisions."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

LEVELS = ("nominal", "fair", "serious", "critical")
# the names of Apple's and of Android's thermal states; any other name, and none, count as nominal
THERMAL_LEVELS = {
    **{name: level for level, name in enumerate(LEVELS)},
    "none": 0,
    "light": 1,
    "moderate": 1,
    "severe": 2,
    "emergency": 3,
    "shutdown": 3,
}
RATES = (30.0, 20.0, 10.0, 2.0)
RECOVER_SECONDS = 10.0
SECOND_NS = 1_000_000_000

# time of the frame in nanoseconds, name of the thermal state, whether the detector has finished since the last frame
Frame = tuple[int, str | None, bool]


class FramePacer:
    """Decides for each frame whether it goes to the detector.

    - *Rate*: a frame is due one period (1 / rate) after the one before it, and taken from half a period before that on,
      so that a camera whose frames are not evenly spaced is not halved, and the mean rate is never above the limit.
    - *Level*: a hotter state applies at once. A cooler one applies after ``recover_seconds`` without a state as hot as
      the level, one level at a time.
    - A rate of 0 pauses detection.

    Args:
        rates: limit in frames per second at each of ``LEVELS``: none above the one before it, the first above 0.
        recover_seconds: time before each step down.
    """

    def __init__(self, rates: tuple[float, ...] = RATES, recover_seconds: float = RECOVER_SECONDS) -> None:
        self._rates = rates
        self._periods = [math.floor(SECOND_NS / rate + 0.5) if rate else 0 for rate in rates]
        self._recover = math.floor(recover_seconds * SECOND_NS + 0.5)
        self._busy = False
        self._now: int | None = None
        self._due: int | None = None  # when the latest detection was due
        self._cooler_since: int | None = None
        self.level = 0
        self.counts = dict.fromkeys(("detect", "busy", "rate", "heat"), 0)

    def decide(self, time_ns: int, thermal: str | None) -> str:
        """``detect``, or why the frame is skipped: ``busy``, ``rate`` or ``heat``."""
        now = self._now = time_ns if self._now is None else max(self._now, time_ns)
        self._follow(THERMAL_LEVELS.get(thermal or "", 0), now)
        decision = self._decision(now)
        if decision == "detect":
            self._busy = True
            self._due = now if self._due is None else max(self._due + self._periods[self.level], now)
        self.counts[decision] += 1
        return decision

    def finish(self) -> None:
        """The detector has finished."""
        self._busy = False

    @property
    def notice(self) -> str:
        """Text for the user while heat limits the rate, else empty."""
        rate = self._rates[self.level]
        if rate == self._rates[0]:
            return ""
        text = repr(rate).removesuffix(".0")
        if not rate:
            return f"The device is too hot ({LEVELS[self.level]}): detection pauses until it has cooled down."
        return f"The device is warm ({LEVELS[self.level]}): at most {text} images per second."

    def _follow(self, reported: int, now: int) -> None:
        if reported >= self.level:
            self.level, self._cooler_since = reported, None
        elif self._cooler_since is None:
            self._cooler_since = now
        elif now - self._cooler_since >= self._recover:
            self.level -= 1
            self._cooler_since = now if reported < self.level else None

    def _decision(self, now: int) -> str:
        if self._busy:
            return "busy"
        if self._is_due(self.level, now):
            return "detect"
        return "heat" if self._is_due(0, now) else "rate"

    def _is_due(self, level: int, now: int) -> bool:
        period = self._periods[level]
        return self._rates[level] > 0 and (self._due is None or now - self._due >= period - period // 2)


def pacing_cases() -> list[dict[str, Any]]:
    """Frames of simulated cameras, and the decisions for them."""
    jitter = np.random.RandomState(5).randint(-9_000_000, 9_000_000, 90).tolist()
    uneven = [time + shift for time, shift in zip(_camera(30, 90), jitter, strict=True)]
    cases = [
        _case("as fast as the camera", _camera(30, 30)),
        _case("frames that are not evenly spaced", uneven),
        _case("a camera of twice the rate", _camera(60, 60)),
        *(_case(f"{rate} of 30", _camera(30, 60), rates=(rate,) * 4) for rate in (29.0, 25.0, 20.0, 7.5, 1.0)),
        _case("a slow detector", _camera(30, 30), busy_ns=80_000_000),
        _case("a slow detector on a warm phone", _camera(30, 60), lambda time: "severe", busy_ns=80_000_000),
        _case("every state of both systems", _camera(2, 2 * len(THERMAL_LEVELS)), _rising),
        _case("states that nobody knows", _camera(30, 6), lambda time: (None, "", "unknown", "Serious")[time % 4]),
        _case("heats up and cools down", _camera(10, 120), _hill, recover_seconds=1.0),
        _case("a state that flickers", _camera(10, 80), _flicker, recover_seconds=1.0),
        _case("cools for a moment", _camera(10, 60), lambda time: _between(time, 1, 1.9), recover_seconds=1.0),
        _case("recovers at once", _camera(10, 40), _hill, recover_seconds=0.0),
        _case("pauses when critical", _camera(10, 60), _critical, rates=(8.0, 8.0, 4.0, 0.0), recover_seconds=1.0),
        _case("the same rate at all levels", _camera(10, 20), lambda time: "critical", rates=(5.0,) * 4),
        _case("a pause between frames", [*_camera(30, 5), *(9 * SECOND_NS + time for time in _camera(30, 5))]),
        _case("a clock that goes back", [5 * SECOND_NS, 4 * SECOND_NS, 5 * SECOND_NS, *_camera(30, 200)[150:]]),
        _case("a detector that never finishes", _camera(30, 5), busy_ns=99 * SECOND_NS),
        _case("a half nanosecond", _camera(30, 20), rates=(28.5, 7.25, 3.0, 0.5), recover_seconds=1.0000000005),
    ]
    for seed in range(3):
        cases.append(_random(seed))
    return cases


def _case(
    name: str,
    times: Iterable[int],
    thermal: Callable[[int], str | None] = lambda time: "nominal",
    busy_ns: int = 1_000_000,
    **settings: Any,
) -> dict[str, Any]:
    """``thermal`` gives the state at a time; a detection takes ``busy_ns``."""
    frames: list[Frame] = []
    pacer, ends = FramePacer(**settings), -1
    for time in times:
        finished = 0 <= ends <= time
        frames.append((time, thermal(time), finished))
        if finished:
            pacer.finish()
            ends = -1
        if pacer.decide(*frames[-1][:2]) == "detect":
            ends = time + busy_ns
    return _decided(name, frames, **settings)


def _decided(
    name: str, frames: list[Frame], rates: tuple[float, ...] = RATES, recover_seconds: float = RECOVER_SECONDS
) -> dict[str, Any]:
    pacer = FramePacer(rates, recover_seconds)
    decisions, levels, notices = [], [], []
    for time, thermal, finished in frames:
        if finished:
            pacer.finish()
        decisions.append(pacer.decide(time, thermal))
        levels.append(LEVELS[pacer.level])
        notices.append(pacer.notice)
    changes = [place for place, notice in enumerate(notices) if place == 0 or notice != notices[place - 1]]
    return {
        "name": name,
        "rates": rates,
        "recover_seconds": recover_seconds,
        "frames": frames,
        "decisions": decisions,
        "levels": levels,
        "notices": [[place, notices[place]] for place in changes],
        "counts": pacer.counts,
    }


def _camera(rate: int, count: int) -> list[int]:
    return [frame * SECOND_NS // rate for frame in range(count)]


def _rising(time: int) -> str:
    return sorted(THERMAL_LEVELS, key=lambda name: THERMAL_LEVELS[name])[time // SECOND_NS]


def _hill(time: int) -> str:
    states = ("nominal", "fair", "serious", "critical", "serious", "nominal")
    return states[min(time // (SECOND_NS // 2), len(states) - 1)]


def _flicker(time: int) -> str:
    return "severe" if time < 4 * SECOND_NS and time // (SECOND_NS // 2) % 2 else "none"


def _between(time: int, begin: float, end: float) -> str:
    return "none" if begin <= time / SECOND_NS < end or time > 3 * SECOND_NS else "moderate"


def _critical(time: int) -> str:
    return "emergency" if SECOND_NS <= time < 2 * SECOND_NS else "none"


def _random(seed: int) -> dict[str, Any]:
    """Frames, states and detections without a plan; finishes that nobody waits for, too."""
    random = np.random.RandomState(seed)
    times = np.cumsum(random.randint(0, 90_000_000, 200)).tolist()
    states = [*THERMAL_LEVELS, None]
    chosen = np.repeat(random.randint(0, len(states), 25), 8).tolist()
    finished = (random.rand(200) < 0.7).tolist()
    frames = [(time, states[state], done) for time, state, done in zip(times, chosen, finished, strict=True)]
    rates = tuple(np.sort(random.randint(1, 240, 4) / 4)[::-1].tolist())
    return _decided(f"at random, {seed}", frames, rates=rates, recover_seconds=0.25 * (seed + 1))
