"""Tracks counted where they cross lines and while they are in zones.

Of a box one point counts: the middle of its lower edge, where an object stands on the ground, or its centre. x goes to
the right and y down, so that on the right of a line means on the right hand of who walks from its start to its end.

- **A line is crossed** when the point was on one side of it the last time that it was on a side, is on the other now,
  and the straight way between the two places meets the line between its ends; to touch an end counts. A point on the
  line, or within ``margin`` of it, is on no side: nothing is counted until it is on one. Of each track crossings in the
  two directions take turns, but for those that pass the ends by.
- **A point is in a zone** by the even-odd rule. Of an upright rectangle the left and upper edges belong to it, the
  right and lower ones do not: neighbouring zones share no point.

A track that is lost and found again goes straight from the one place to the other.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mobiledet.errors import UserError
from mobiledet.tracking.tracker import Tracked

Point = tuple[float, float]  # x, y in pixels
CountedPoint = Literal["bottom", "centre"]


@dataclass(frozen=True)
class Line:
    """From ``start`` to ``end``; a point within ``margin`` pixels of the endless line is on neither side."""

    name: str
    start: Point
    end: Point
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.start == self.end or not self.margin >= 0:
            raise UserError(f"line {self.name}: it needs two different ends and a margin of at least 0")


@dataclass(frozen=True)
class Zone:
    """A polygon; its last corner is joined to the first."""

    name: str
    corners: tuple[Point, ...]

    def __post_init__(self) -> None:
        if len(self.corners) < 3:
            raise UserError(f"zone {self.name}: it needs at least three corners")


@dataclass
class LineCount:
    """Crossings of a line, by class index."""

    line: Line
    to_right: Tally[int] = field(default_factory=Tally)
    to_left: Tally[int] = field(default_factory=Tally)
    _last: dict[int, Point] = field(default_factory=dict)  # by id, the last point that was on a side


@dataclass
class ZoneCount:
    """Tracks in a zone in the newest frame, and all that were ever in it, by class index."""

    zone: Zone
    now: Tally[int] = field(default_factory=Tally)
    visitors: Tally[int] = field(default_factory=Tally)
    _known: set[int] = field(default_factory=set)  # ids that are in ``visitors`` and may come again


class Counter:
    """Counts the tracks of one camera or video; give it every frame once.

    Args:
        lines, zones: in the pixels of the boxes.
        point: of a box that counts.

    Attributes:
        lines, zones: counts up to now, in the order in which they were given.
    """

    def __init__(self, lines: Iterable[Line] = (), zones: Iterable[Zone] = (), point: CountedPoint = "bottom") -> None:
        self.lines = [LineCount(line) for line in lines]
        self.zones = [ZoneCount(zone) for zone in zones]
        self._point = point

    def update(self, tracked: Tracked) -> None:
        """The next frame."""
        boxes = tracked.objects.boxes_xyxy.astype(float)
        across, down = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]
        if self._point == "centre":
            down = (boxes[:, 1] + boxes[:, 3]) / 2
        points = list(zip(across.tolist(), down.tolist(), strict=True))
        tracks = list(zip(tracked.ids.tolist(), tracked.objects.labels.tolist(), points, strict=True))
        for count in self.lines:
            for track, label, at in tracks:
                _cross(count, track, label, at)
            for track in tracked.ended:
                count._last.pop(track, None)
        for zone in self.zones:
            inside = [(track, label) for track, label, at in tracks if is_inside(zone.zone.corners, at)]
            zone.now = Tally(label for _, label in inside)
            zone.visitors.update(label for track, label in inside if track not in zone._known)
            zone._known.update(track for track, _ in inside)
            zone._known.difference_update(tracked.ended)


def is_inside(corners: Sequence[Point], at: Point) -> bool:
    """Whether a point lies in a polygon, by the even-odd rule."""
    inside = False
    x, y = at
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def _cross(count: LineCount, track: int, label: int, at: Point) -> None:
    start, end, margin = count.line.start, count.line.end, count.line.margin
    side = _turn(start, end, at)
    across, down = end[0] - start[0], end[1] - start[1]
    if side == 0 or side * side < margin * margin * (across * across + down * down):
        return
    last = count._last.get(track)
    count._last[track] = at
    if last is None or (_turn(start, end, last) > 0) == (side > 0):
        return
    first, second = _turn(last, at, start), _turn(last, at, end)
    if (first > 0 and second > 0) or (first < 0 and second < 0):
        return
    (count.to_right if side > 0 else count.to_left)[label] += 1


def _turn(start: Point, end: Point, at: Point) -> float:
    """Above 0 where ``at`` lies on the right of the way from ``start`` to ``end``, below 0 on its left."""
    return (end[0] - start[0]) * (at[1] - start[1]) - (end[1] - start[1]) * (at[0] - start[0])
