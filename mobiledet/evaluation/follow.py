"""Tracking and counting of objects for ``predict`` and the Python API."""

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
    """A line or zone as given in an option, in pixels or in percent of the image's width and height."""

    name: str
    numbers: tuple[float, ...]  # x, y, x, y, ...
    percent: bool

    def points(self, height: int, width: int) -> list[tuple[float, float]]:
        """The points (x, y) in pixels, for an image of this size."""
        across, down = (width / 100, height / 100) if self.percent else (1.0, 1.0)
        return [(x * across, y * down) for x, y in zip(self.numbers[::2], self.numbers[1::2], strict=True)]


def parse_place(text: str, option: str, position: int) -> Place:
    """Parse ``x,y,x,y,...`` or ``NAME=x,y,...``, in pixels or all with a percent sign.

    Raises:
        UserError: the text has another form or too few points.
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
            f"--{option} {text!r} is not {wanted}, in pixels or all in percent, optionally with NAME= before it"
        )
    if option == "line" and values[:2] == values[2:]:
        raise UserError(f"--{option} {text!r} starts and ends at the same point")
    return Place(name or f"{option} {position}", values, percent)


@dataclass
class Follower:
    """Tracks and counts the objects of one video, camera or sequence of images.

    Attributes:
        tracker: the tracker, which assigns the ids.
        lines, zones: lines and zones at which objects are counted; percentages refer to the size of the first frame.
        counter: counts over the frames so far.
        tracks: number of tracks so far, by class index.
        left_out: number of detections so far that could not be tracked.
        other_sizes: number of frames whose size differs from the first.
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
    def from_config(cls, config: PredictConfig, confident: float | NDArray[np.float64]) -> "Follower":
        """Create a follower from the options of ``predict``.

        Args:
            config: the options.
            confident: score from which on a detection starts a track; one for all classes, or one for each.

        Raises:
            UserError: an option is out of range.
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
        """Process the detections in the next frame, whose size is given in pixels."""
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
            if track > self._highest:  # ids increase, but those of one frame are in any order
                self.tracks[label] = self.tracks.get(label, 0) + 1
        self._highest = max(self._highest, *tracked.ids.tolist(), 0)
        return tracked

    def _line(self, line: Place, height: int, width: int) -> Line:
        start, end = line.points(height, width)
        return Line(line.name, start, end, self.margin)

    def marks(self) -> list[Mark]:
        """Lines and zones with their counts, to draw them."""
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
        """The counts so far by class name; empty without lines and zones."""

        def named(tally: dict[int, int]) -> dict[str, int]:
            return {labels[label]: tally[label] for label in sorted(tally)}

        lines = [
            {"name": c.line.name, "to_right": named(c.to_right), "to_left": named(c.to_left)}
            for c in self.counter.lines
        ]
        zones = [{"name": c.zone.name, "now": named(c.now), "visitors": named(c.visitors)} for c in self.counter.zones]
        return {name: counts for name, counts in (("lines", lines), ("zones", zones)) if counts}

    def summary(self, labels: Sequence[str]) -> dict[str, Any]:
        """The final number of objects by class, and the counts."""
        tracks = {labels[label]: self.tracks[label] for label in sorted(self.tracks)}
        return {"tracks": tracks, **self.counts_json(labels), "not_followed": self.left_out}

    def notes(self, labels: Sequence[str]) -> list[str]:
        """The summary as lines of text, with remarks."""
        tracks = ", ".join(f"{count} {labels[label]}" for label, count in sorted(self.tracks.items()))
        lines = [f"{sum(self.tracks.values())} objects tracked" + (f": {tracks}" if tracks else "")]
        lines += [mark.text for mark in self.marks()]
        if self.left_out:
            lines.append(f"{self.left_out} detections could not be tracked: their boxes have no area")
        if self.other_sizes:
            lines.append(
                f"{self.other_sizes} frames have another size than the first, to whose pixels lines and zones refer"
            )
        return lines


def _zone(zone: Place, height: int, width: int) -> Zone:
    return Zone(zone.name, tuple(zone.points(height, width)))
