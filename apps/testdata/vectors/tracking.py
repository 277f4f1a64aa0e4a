"""Scenes of detections, their tracks and counts; exact to the bit."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from mobiledet.detections import Detections
from mobiledet.tracking.counting import Counter, Line, Zone
from mobiledet.tracking.tracker import Tracker, TrackerSettings

Row = tuple[float, float, float, float, float, int]  # x1, y1, x2, y2, score, label
LINES = (Line("gate", (60, 0), (60, 96)), Line("slope", (0, 96), (128, 0), margin=2))
ZONES = (Zone("left", ((0, 0), (64, 0), (64, 96), (0, 96))), Zone("kite", ((64, 8), (120, 48), (64, 88), (90, 48))))
NOT_NUMBERS = {"nan": "NaN", "inf": "Infinity"}


def tracking_cases() -> list[dict[str, Any]]:
    """Scenes with different settings."""
    still = (10, 10, 30, 50)
    cases = [
        _case("two walkers meet", _walkers(40)),
        _case("the same, smoothed", _walkers(40), smoothing=0.6),
        _case("the same, centres count", _walkers(40), point="centre"),
        _case("hidden for ten frames", _hidden(10), keep_lost=10),
        _case("hidden for eleven", _hidden(11), keep_lost=10),
        _case("a class that flickers", _flickering(8)),
        _case("the same, of any class", _flickering(8), any_class=True),
        _case("thresholds by class", [[(*still, 0.5, 0), (50, 10, 70, 50, 0.5, 1)]] * 3, confident=[0.75, 0.25]),
        _case("weak ones", [[(*still, score, 0)] for score in (0.75, 0.25, 0.25, 0.0625, 0.25, 0.75, 0.25)]),
        _case("told after three frames", [[], *([[(*still, 0.75, 0)]] * 4)], confirm=3),
        _case("told at once", [[], *([[(*still, 0.75, 0)]] * 2)], confirm=1),
        _case("twins", [[(*still, 0.75, 0)] * 3, [(*still, 0.75, 0)] * 2, [(*still, 0.5, 0)] * 3]),
        _case("two as near to one", [[(16, 0, 32, 16, 0.75, 0)], [(x, 0, x + 16, 16, 0.75, 0) for x in (20, 12)]]),
        _case("one as near to two", [[(x, 0, x + 16, 16, 0.75, 0) for x in (20, 12)], [(16, 0, 32, 16, 0.75, 0)]]),
        _case("boxes that cannot be followed", [_broken(still)] * 2),
        _case("nothing at all", [[], [], []]),
        _case("along the line", [[(*_standing(x), 0.75, 0)] for x in (58, 60, 58, 60, 62, 60, 62, 58)]),
    ]
    for seed, settings in enumerate(({}, {"keep_lost": 4, "smoothing": 0.25}, {"any_class": True, "match_iou": 0.4})):
        cases.append(_case(f"a crowd, {seed}", _crowd(seed), **settings))
    return cases


def _case(
    name: str, frames: Iterable[list[Row]], confident: float | list[float] = 0.5, point: Any = "bottom", **settings: Any
) -> dict[str, Any]:
    chosen = TrackerSettings(**settings)
    tracker = Tracker(np.array(confident) if isinstance(confident, list) else confident, chosen)
    counter, told = Counter(LINES, ZONES, point), []
    for rows in frames:
        found = _detections(rows)
        tracked = tracker.update(found)
        counter.update(tracked)
        told.append(
            {
                "boxes_xyxy": [[_number(side) for side in box] for box in found.boxes_xyxy.tolist()],
                "scores": found.scores.tolist(),
                "labels": found.labels.tolist(),
                "ids": tracked.ids.tolist(),
                "sources": tracked.sources.tolist(),
                "tracked_xyxy": tracked.objects.boxes_xyxy.tolist(),
                "ended": tracked.ended,
                "left_out": tracked.left_out,
                "lines": [[_tally(count.to_right), _tally(count.to_left)] for count in counter.lines],
                "zones": [[_tally(count.now), _tally(count.visitors)] for count in counter.zones],
            }
        )
    return {
        "name": name,
        "confident": confident,
        "settings": dataclasses.asdict(chosen),
        "point": point,
        "lines": [dataclasses.asdict(line) for line in LINES],
        "zones": [dataclasses.asdict(zone) for zone in ZONES],
        "frames": told,
    }


def _tally(count: dict[int, int]) -> dict[str, int]:
    return {str(label): count[label] for label in sorted(count)}


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else NOT_NUMBERS[str(value)]


def _detections(rows: list[Row]) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int64))


def _standing(x: float) -> tuple[float, float, float, float]:
    return x - 8, 20, x + 8, 60


def _broken(still: tuple[float, float, float, float]) -> list[Row]:
    x1, y1, x2, y2 = still
    return [
        (*still, 0.75, 0),
        (x1, y1, x1, y2, 0.75, 0),
        (x1, y2, x2, y1, 0.75, 0),
        (math.nan, y1, x2, y2, 0.75, 0),
        (x1, y1, math.inf, y2, 0.75, 0),
    ]


def _walkers(count: int) -> list[list[Row]]:
    """Two that meet at a third of a pixel's places, with a jitter; the farther one is weak while the other hides it."""
    random = np.random.RandomState(4)
    frames = []
    for step in range(count):
        x, jitter = 3.0 * step, random.normal(0, 0.7, 8)
        near = np.array([x, 20, x + 16, 60]) + jitter[:4]
        far = np.array([116 - x, 24, 130 - x, 58]) + jitter[4:]
        frames.append([(*near, 0.875, 0), (*far, 0.25 if 17 <= step <= 21 else 0.625, 0)])
    return frames


def _hidden(count: int) -> list[list[Row]]:
    def at(step: int) -> list[Row]:
        return [(2.0 * step, 10, 2.0 * step + 20, 50, 0.75, 0)]

    return [*map(at, range(12)), *([[]] * count), at(12 + count), at(13 + count), at(14 + count)]


def _flickering(count: int) -> list[list[Row]]:
    return [[(step, 10, step + 20, 50, 0.75, step % 2)] for step in range(count)]


def _crowd(seed: int, count: int = 10, frames: int = 36) -> list[list[Row]]:
    """Boxes that move, are missed, weak or invented, in a changing order."""
    random = np.random.RandomState(seed)
    corner, size = random.uniform(0, [100, 60], (count, 2)), random.uniform([8, 14], [20, 40], (count, 2))
    drift, labels = random.normal(0, 1.5, (count, 2)), random.randint(0, 2, count)
    made: list[list[Row]] = []
    for _ in range(frames):
        corner = corner + drift + random.normal(0, 0.5, (count, 2))
        scores = random.choice([0.9, 0.7, 0.3, 0.15, 0.05], count, p=[0.4, 0.3, 0.15, 0.1, 0.05])
        rows: list[Row] = [
            (*place, *(place + sides), score, int(label))
            for place, sides, score, label in zip(corner, size, scores, labels, strict=True)
            if random.rand() > 0.1
        ]
        if random.rand() < 0.3:
            place = random.uniform(0, [100, 60])
            rows.append((*place, *(place + 12), 0.6, 0))
        made.append([rows[place] for place in random.permutation(len(rows))])
    return made
