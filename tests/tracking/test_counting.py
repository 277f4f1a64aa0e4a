"""Lines and zones against what is counted by hand, and against matplotlib's polygons."""

from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.tracking.counting import Counter, Line, Zone, is_inside
from mobiledet.tracking.tracker import Tracked

DOWN = Line("down", (50, 0), (50, 100))  # who walks down has the left of the picture on the right


def frame(*at: tuple[int, float, float], ended: tuple[int, ...] = (), label: int = 0) -> Tracked:
    """Tracks whose counted point lies there."""
    boxes = np.array([[x - 5, y - 20, x + 5, y] for _, x, y in at], np.float32).reshape(-1, 4)
    objects = Detections(boxes, np.ones(len(at), np.float32), np.full(len(at), label, np.int64))
    return Tracked(np.array([track for track, _, _ in at], np.int64), objects, np.arange(len(at)), ended, 0)


def crossings(line: Line, *places: tuple[float, float] | None) -> tuple[int, int]:
    counter = Counter([line])
    for place in places:
        counter.update(frame((1, *place)) if place else frame())
    (count,) = counter.lines
    return count.to_right.total(), count.to_left.total()


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(60, 50), (40, 50)], (1, 0)),
        ([(40, 50), (60, 50)], (0, 1)),
        ([(60, 50), (50, 50), (40, 50)], (1, 0)),  # on the line is on no side
        ([(60, 50), (50, 50), (60, 50)], (0, 0)),
        ([(50, 50), (40, 50)], (0, 0)),  # begun on the line
        ([(60, 50), (40, 50), (60, 50), (40, 50)], (2, 1)),
        ([(60, 50), None, None, (40, 50)], (1, 0)),  # lost meanwhile
        ([(60, 120), (40, 120)], (0, 0)),  # past its end
        ([(60, 100), (40, 100)], (1, 0)),  # its end is touched
        ([(60, 120), (40, 120), (60, 50)], (0, 1)),  # back through it
        ([(60, 150), (40, 70)], (0, 0)),
        ([(60, 120), (40, 70)], (1, 0)),
    ],
)
def test_crossings(places: list[tuple[float, float] | None], expected: tuple[int, int]) -> None:
    assert crossings(DOWN, *places) == expected
    backwards = Line("up", DOWN.end, DOWN.start)
    assert crossings(backwards, *places) == expected[::-1]


def test_within_the_margin_nothing_is_counted() -> None:
    line = Line("wide", DOWN.start, DOWN.end, margin=4)
    assert crossings(line, (60, 50), (47, 50), (53, 50), (47, 50)) == (0, 0)
    assert crossings(line, (60, 50), (47, 50), (46, 50)) == (1, 0)


def test_the_centre_counts_where_it_is_asked_for() -> None:
    at = Line("across", (0, 45), (100, 45))
    for point, expected in (("bottom", 1), ("centre", 0)):
        counter = Counter([at], point=point)  # type: ignore[arg-type]
        for y in (40, 50):
            counter.update(frame((1, 50, y)))
        assert counter.lines[0].to_right.total() == expected


def test_zones_count_who_is_there_and_everyone_once() -> None:
    zone = Zone("hall", ((0, 0), (50, 0), (50, 50), (0, 50)))
    counter = Counter(zones=[zone])
    seen: list[Any] = []
    for tracked in (
        frame((1, 10, 10), (2, 90, 10)),
        frame((1, 90, 10), (2, 20, 10)),
        frame((1, 10, 10), (2, 20, 10)),
        frame((2, 20, 10), ended=(1,)),
        frame((3, 20, 10), label=1),
    ):
        counter.update(tracked)
        seen.append((dict(counter.zones[0].now), dict(counter.zones[0].visitors)))
    assert seen == [({0: 1}, {0: 1}), ({0: 1}, {0: 2}), ({0: 2}, {0: 2}), ({0: 1}, {0: 2}), ({1: 1}, {0: 2, 1: 1})]
    assert counter.zones[0]._known == {2, 3}  # 1 cannot come again


def test_edges_of_zones_belong_to_one_of_two_neighbours() -> None:
    left, right = (((x, 0), (x + 10, 0), (x + 10, 10), (x, 10)) for x in (0, 10))
    for y, inside in ((0, True), (5, True), (10, False)):
        assert [is_inside(left, (0, y)), is_inside(left, (10, y)), is_inside(right, (10, y))] == [inside, False, inside]


def test_polygons_are_those_of_matplotlib() -> None:
    random = np.random.default_rng(0)
    for count in (3, 4, 7):
        # a star is no crossing polygon, where the rules of the two differ
        angles, far = np.sort(random.uniform(0, 2 * np.pi, count)), random.uniform(20, 50, count)
        corners = np.column_stack([50 + far * np.cos(angles), 50 + far * np.sin(angles)])
        points = random.uniform(0, 100, (500, 2))
        ours = [is_inside([tuple(corner) for corner in corners.tolist()], tuple(at)) for at in points.tolist()]
        np.testing.assert_array_equal(ours, Polygon(corners, closed=False).contains_points(points))
        assert 0 < sum(ours) < 500


def test_lines_and_zones_need_points() -> None:
    for wrong in (lambda: Line("x", (1, 1), (1, 1)), lambda: Line("x", (1, 1), (2, 1), -1), lambda: Zone("x", ())):
        with pytest.raises(UserError, match="x: it needs"):
            wrong()
