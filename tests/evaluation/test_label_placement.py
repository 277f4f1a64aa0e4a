import itertools

import numpy as np

from mobiledet.evaluation.label_placement import Box, place_labels

AREA = Box(0, 0, 800, 400)


def test_names_cover_neither_marks_nor_each_other() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        centers = [(float(x), float(y)) for x, y in rng.uniform((10, 10), (790, 390), (25, 2))]
        boxes = place_labels(["shufflenet int8"] * 25, centers, 6, AREA)
        shown = [box for box in boxes if box]
        assert len(shown) > 12
        marks = [Box(x - 6, y - 6, 12, 12) for x, y in centers]
        for box in shown:
            assert AREA.contains(box)
            assert not any(box.overlaps(mark) for mark in marks)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(shown, 2))


def test_right_first_then_left_then_above_or_below() -> None:
    (right,) = place_labels(["name"], [(400, 200)], 6, AREA)
    (left,) = place_labels(["name"], [(795, 200)], 6, AREA)
    assert right is not None
    assert left is not None
    assert right.x > 400
    assert left.x + left.width < 795
    boxes = place_labels(["name"] * 3, [(400, 200), (430, 200), (370, 200)], 6, AREA)
    assert boxes[0] is not None
    assert abs(boxes[0].y + boxes[0].height / 2 - 200) > 10


def test_name_without_room_is_left_out() -> None:
    assert place_labels(["much too long a name for this"], [(20, 20)], 6, Box(0, 0, 40, 40)) == [None]
