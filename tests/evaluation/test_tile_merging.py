"""Merging of slices, with a detector that sees all that there is: drawn boxes, clipped by each slice, a little off."""

import numpy as np
import pytest

from mobiledet.detections import Detections
from mobiledet.evaluation.tile_merging import merge
from mobiledet.evaluation.tiles import Tiling

WIDTH, HEIGHT = 1600, 1200
TILING = Tiling(400, 400, 0.2)  # an overlap of 80 pixels
SLICES = [(0, 0, WIDTH, HEIGHT), *TILING.slices(HEIGHT, WIDTH)]
Boxes = np.ndarray


def look(
    objects: Boxes, labels: np.ndarray, rng: np.random.Generator, least: float = 0, blur: float = 1.0
) -> list[Detections]:
    """What each slice shows of the objects: clipped, off by ``blur`` pixels, with a score of its own.

    In the whole picture objects with a side below ``least`` are missed, elsewhere those of which hardly anything is
    seen.
    """
    found = []
    for number, (left, top, right, bottom) in enumerate(SLICES):
        seen = np.clip(objects, [left, top, left, top], [right, bottom, right, bottom]) - [left, top, left, top]
        sides = seen[:, 2:] - seen[:, :2]
        visible = sides.min(axis=1) > 6
        if number == 0:
            visible &= sides.min(axis=1) >= least
        noisy = seen + rng.uniform(-blur, blur, seen.shape)
        noisy = np.clip(noisy, 0, [right - left, bottom - top] * 2)[visible].astype(np.float32)
        scores = rng.uniform(0.5, 0.95, len(noisy)).astype(np.float32)
        order = np.argsort(-scores)
        found.append(Detections(noisy[order], scores[order], labels[visible][order]))
    return found


def iou(a: Boxes, b: Boxes) -> np.ndarray:
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def apart(rng: np.random.Generator, count: int, low: float, high: float) -> Boxes:
    """Boxes that touch none of the others."""
    boxes = np.zeros((0, 4))
    while len(boxes) < count:
        size = rng.uniform(low, high, 2)
        corner = rng.uniform(0, [WIDTH, HEIGHT] - size)
        box = np.concatenate([corner, corner + size])[None]
        if not len(boxes) or iou(box + np.array([-12, -12, 12, 12]), boxes).max() == 0:
            boxes = np.concatenate([boxes, box])
    return boxes


@pytest.mark.parametrize(
    ("low", "high", "count", "least"),
    [
        (10, 70, 60, 100),  # below the overlap, too small for the whole picture
        (90, 300, 12, 1e9),  # larger than the overlap: no slice sees them whole, nor does the picture
        (450, 700, 2, 0),  # larger than a slice, the picture sees them
        (450, 700, 2, 1e9),  # larger than a slice, in pieces alone
        (10, 300, 25, 60),
    ],
)
def test_each_object_comes_out_once_and_whole(low: float, high: float, count: int, least: float) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        objects = apart(rng, count, low, high)
        labels = rng.integers(0, 2, count)
        merged = merge(look(objects, labels, rng, least), SLICES, 0.5)
        overlaps = iou(merged.boxes_xyxy.astype(float), objects)
        assert len(merged) == count, (seed, merged.boxes_xyxy)
        assert sorted(overlaps.argmax(axis=1)) == list(range(count))
        assert overlaps.max(axis=1).min() > (0.6 if low < 30 else 0.85)
        assert (labels[overlaps.argmax(axis=1)] == merged.labels).all()
        assert (np.diff(merged.scores) <= 0).all()


def test_small_objects_before_a_large_one_of_their_class_stay() -> None:
    """Merging by the share of the smaller box, as is usual, would leave the large one alone."""
    large = [[300.0, 200.0, 1500.0, 1100.0]]
    small = [[500.0 + 90 * i, 500.0 + 40 * i, 540.0 + 90 * i, 540.0 + 40 * i] for i in range(8)]
    objects = np.array(large + small)
    rng = np.random.default_rng(0)
    merged = merge(look(objects, np.zeros(9, np.int64), rng), SLICES, 0.5)
    overlaps = iou(merged.boxes_xyxy.astype(float), objects)
    assert sorted(overlaps.argmax(axis=1)) == list(range(9))
    assert overlaps.max(axis=1).min() > 0.8


def test_neighbours_in_one_slice_stay_two() -> None:
    """Boxes that the model's own suppression has let through overlap by more than 0.5; slices see both."""
    objects = np.array([[380.0, 380.0, 440.0, 440.0], [396.0, 380.0, 456.0, 440.0]])
    rng = np.random.default_rng(0)
    merged = merge(look(objects, np.zeros(2, np.int64), rng, blur=0.2), SLICES, 0.5)
    assert len(merged) == 2
    assert iou(merged.boxes_xyxy.astype(float), objects).max(axis=0).min() > 0.95


def test_classes_do_not_meet() -> None:
    objects = np.array([[300.0, 300.0, 350.0, 350.0]] * 2)
    merged = merge(look(objects, np.array([0, 1]), np.random.default_rng(0)), SLICES, 0.5)
    assert sorted(merged.labels) == [0, 1]


@pytest.mark.parametrize("weak", [[100, 100, 900, 900], [TILING.width - 60, 200, 900, 260]])
def test_a_weak_box_does_not_swallow_a_piece(weak: list[int]) -> None:
    """A box of low score covers the piece of an object that nothing else has seen, or goes on where it ends."""
    found = [Detections.empty() for _ in SLICES]
    found[0] = Detections(np.array([weak], np.float32), np.array([0.05], np.float32), np.array([0]))
    at_edge = np.array([[TILING.width - 60, 200, TILING.width, 260]], np.float32)
    found[1] = Detections(at_edge, np.array([0.9], np.float32), np.array([0]))
    merged = merge(found, SLICES, 0.5)
    assert merged.scores.tolist() == pytest.approx([0.9, 0.05])


def test_nothing_found_is_nothing() -> None:
    assert len(merge([Detections.empty() for _ in SLICES], SLICES, 0.5)) == 0


def test_slices_cover_the_picture_and_overlap_enough() -> None:
    for height, width, tiling in ((1200, 1600, TILING), (399, 5000, TILING), (401, 401, Tiling(400, 300, 0))):
        slices = np.array(tiling.slices(height, width))
        assert (slices[:, 2] - slices[:, 0] == min(width, tiling.width)).all()
        assert (slices[:, 3] - slices[:, 1] == min(height, tiling.height)).all()
        for low, high, side, tile in ((0, 2, width, tiling.width), (1, 3, height, tiling.height)):
            starts, ends = np.unique(slices[:, low]), np.unique(slices[:, high])
            assert (starts[0], ends[-1]) == (0, side)
            assert (ends[:-1] - starts[1:] >= tiling.overlap * tile - 1).all()
    assert Tiling(640, 640, 0.2).slices(640, 480) == []
