"""Tracking as ``predict`` and the Python interface ask for it: what of a frame is shown, and what is counted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobiledet.detections import Detections
from mobiledet.drawing.pictures import Mark
from mobiledet.errors import UserError
from mobiledet.evaluation.config import PredictConfig
from mobiledet.tracking.counting import CountedPoint, Counter, Line, Zone
from mobiledet.tracking.tracker import Tracked, Tracker, TrackerSettings


@dataclass(frozen=True)
class Place:
    """A line or zone as it was asked for: numbers in pixels, or in percent of the picture's width and height."""

    name: str
    numbers: tuple[float, ...]  # x, y, x, y, ...
    percent: bool

    def points(self, height: int, width: int) -> list[tuple[float, float]]:
        """In pixels."""
        across, down = (width / 100, height / 100) if self.percent else (1.0, 1.0)
        return [(x * across, y * down) for x, y in zip(self.numbers[::2], self.numbers[1::2], strict=True)]


def parse_place(text: str, option: str, position: int) -> Place:
    """``x,y,x,y,...`` or ``NAME=x,y,...``, in pixels or all with a percent sign.

    Raises:
        UserError: it is something else, or has too few points.
    """
    name, _, numbers = text.rpartition("=")
    parts = numbers.split(",")
    percent = all(part.strip().endswith("%") for part in parts)
    try:
        values = tuple(float(part.strip().removesuffix("%") if percent else part) for part in parts)
    except ValueError:
        values = ()
    sound = bool(values) and all(map(math.isfinite, values)) and len(values) % 2 == 0
    if not sound or (len(values) != 4 if option == "line" else len(values) < 6):
        wanted = "x1,y1,x2,y2" if option == "line" else "x1,y1,x2,y2,x3,y3,..."
        raise UserError(
            f"--{option} {text!r} is not {wanted}, in pixels or all in percent, with NAME= before it or not"
        )
    if option == "line" and values[:2] == values[2:]:
        raise UserError(f"--{option} {text!r} begins where it ends")
    return Place(name or f"{option} {position}", values, percent)


@dataclass
class Follower:
    """Follows and counts the objects of one video, camera or row of pictures.

    Attributes:
        tracker: gives the ids.
        lines, zones: what is counted, in the pixels of a frame as soon as one is there.
        counter: of the frames up to now.
        tracks: ids that were told up to now, by class index.
        left_out: detections up to now that could not be followed.
        other_sizes: frames of another size than the first.
    """

    tracker: Tracker
    lines: Sequence[Place | Line] = ()
    zones: Sequence[Place | Zone] = ()
    point: CountedPoint = "bottom"
    margin: float = 0.0
    counter: Counter = field(default_factory=Counter)
    tracks: dict[int, int] = field(default_factory=dict)
    left_out: int = 0
    other_sizes: int = 0
    _size: tuple[int, int] | None = None
    _highest: int = 0

    @classmethod
    def asked_for(cls, config: PredictConfig, confident: float | NDArray[np.float64]) -> "Follower":
        """As the options of ``predict`` say.

        Raises:
            UserError: one of them is wrong.
        """
        if not config.line_margin >= 0:
            raise UserError(f"--line-margin {config.line_margin} is not at least 0")
        settings = TrackerSettings(
            weak=config.track_weak,
            keep_lost=config.track_keep,
            smoothing=config.track_smoothing,
            any_class=config.track_any_class,
        )
        places = {
            option: [parse_place(text, option, 1 + position) for position, text in enumerate(texts)]
            for option, texts in (("line", config.line), ("zone", config.zone))
        }
        return cls(Tracker(confident, settings), places["line"], places["zone"], config.count_point, config.line_margin)

    def update(self, found: Detections, height: int, width: int) -> Tracked:
        """The next frame, of this size in pixels."""
        if self._size is None:
            self._size = height, width
            self.counter = Counter(
                [line if isinstance(line, Line) else self._line(line, height, width) for line in self.lines],
                [zone if isinstance(zone, Zone) else _zone(zone, height, width) for zone in self.zones],
                self.point,
            )
        self.other_sizes += self._size != (height, width)
        tracked = self.tracker.update(found)
        self.counter.update(tracked)
        self.left_out += tracked.left_out
        for track, label in zip(tracked.ids.tolist(), tracked.objects.labels.tolist(), strict=True):
            if track > self._highest:  # ids grow, but those of one frame may stand in any order
                self.tracks[label] = self.tracks.get(label, 0) + 1
        self._highest = max(self._highest, *tracked.ids.tolist(), 0)
        return tracked

    def _line(self, line: Place, height: int, width: int) -> Line:
        start, end = line.points(height, width)
        return Line(line.name, start, end, self.margin)

    def marks(self) -> list[Mark]:
        """Lines and zones with their counts, to be drawn."""
        lines = [
            Mark(
                (count.line.start, count.line.end),
                f"{count.line.name}: {count.to_right.total()} to the right, {count.to_left.total()} to the left",
            )
            for count in self.counter.lines
        ]
        return lines + [
            Mark(
                (*count.zone.corners, count.zone.corners[0]),
                f"{count.zone.name}: {count.now.total()} now, {count.visitors.total()} in all",
            )
            for count in self.counter.zones
        ]

    def counts_json(self, labels: Sequence[str]) -> dict[str, Any]:
        """What was counted up to now, by class name; without lines and zones nothing."""

        def named(tally: dict[int, int]) -> dict[str, int]:
            return {labels[label]: tally[label] for label in sorted(tally)}

        lines = [
            {"name": c.line.name, "to_right": named(c.to_right), "to_left": named(c.to_left)}
            for c in self.counter.lines
        ]
        zones = [{"name": c.zone.name, "now": named(c.now), "visitors": named(c.visitors)} for c in self.counter.zones]
        return {name: counts for name, counts in (("lines", lines), ("zones", zones)) if counts}

    def summary(self, labels: Sequence[str]) -> dict[str, Any]:
        """All of it at the end: how many objects, of which classes, and the counts."""
        tracks = {labels[label]: self.tracks[label] for label in sorted(self.tracks)}
        return {"tracks": tracks, **self.counts_json(labels), "not_followed": self.left_out}

    def notes(self, labels: Sequence[str]) -> list[str]:
        """The summary in words, and what else should be known."""
        tracks = ", ".join(f"{count} {labels[label]}" for label, count in sorted(self.tracks.items()))
        told = [f"{sum(self.tracks.values())} objects followed" + (f": {tracks}" if tracks else "")]
        told += [mark.text for mark in self.marks()]
        if self.left_out:
            told.append(f"{self.left_out} detections could not be followed: their boxes have no area")
        if self.other_sizes:
            told.append(
                f"{self.other_sizes} frames have another size than the first, whose pixels lines and zones are in"
            )
        return told


def _zone(zone: Place, height: int, width: int) -> Zone:
    return Zone(zone.name, tuple(zone.points(height, width)))
