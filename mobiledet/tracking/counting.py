"""Counts tracks that cross lines or are in zones.

One point of a box decides: the middle of its lower edge, where an object stands on the ground, or its centre. x points
to the right and y down; the right side of a line is as seen when walking from its start to its end.

- **A line is crossed** if the point was on one side of it when it was last on a side, is on the other side now, and the
  straight path between the two positions intersects the line segment, end points included. A point on the line, or
  within ``margin`` of it, is on neither side: nothing is counted until it is on a side again. So the crossings of a
  track alternate in direction, except for paths around the ends of the line.
- **A point is in a zone** by the even-odd rule. For an upright rectangle, the left and upper edges belong to it and the
  right and lower ones do not, so adjacent zones share no point.

A track that was lost and found again is assumed to have moved in a straight line.
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
    """A line segment from ``start`` to ``end``; a point within ``margin`` pixels of its infinite extension is on
    neither side.
    """

    name: str
    start: Point
    end: Point
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.start == self.end or not self.margin >= 0:
            raise UserError(f"line {self.name}: it needs two different end points and a margin of at least 0")


@dataclass(frozen=True)
class Zone:
    """A polygon; its last corner is connected to the first."""

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
    _last: dict[int, Point] = field(default_factory=dict)  # by id: the last point that was on a side


@dataclass
class ZoneCount:
    """Tracks in a zone in the newest frame, and all that were ever in it, by class index."""

    zone: Zone
    now: Tally[int] = field(default_factory=Tally)
    visitors: Tally[int] = field(default_factory=Tally)
    _known: set[int] = field(default_factory=set)  # ids of active tracks that are counted in ``visitors``


class Counter:
    """Counts the tracks of one camera or video; ``update`` must be called once for every frame.

    Args:
        lines, zones: lines and zones, in the pixels of the boxes.
        point: the point of a box that decides.

    Attributes:
        lines, zones: counts so far, in the order in which they were given.
    """

    def __init__(self, lines: Iterable[Line] = (), zones: Iterable[Zone] = (), point: CountedPoint = "bottom") -> None:
        self.lines = [LineCount(line) for line in lines]
        self.zones = [ZoneCount(zone) for zone in zones]
        self._point = point

    def update(self, tracked: Tracked) -> None:
        """Process the tracks in the next frame."""
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
    side = _side_of(start, end, at)
    across, down = end[0] - start[0], end[1] - start[1]
    if side == 0 or side * side < margin * margin * (across * across + down * down):
        return
    last = count._last.get(track)
    count._last[track] = at
    if last is None or (_side_of(start, end, last) > 0) == (side > 0):
        return
    first, second = _side_of(last, at, start), _side_of(last, at, end)
    if (first > 0 and second > 0) or (first < 0 and second < 0):
        return
    (count.to_right if side > 0 else count.to_left)[label] += 1


def _side_of(start: Point, end: Point, at: Point) -> float:
    """Positive if ``at`` is on the right of the path from ``start`` to ``end``, negative on the left."""
    return (end[0] - start[0]) * (at[1] - start[1]) - (end[1] - start[1]) * (at[0] - start[0])
