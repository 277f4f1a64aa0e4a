"""Errors by hand, and their sums against the counts of thresholds."""

from collections import Counter

import numpy as np
import pytest

from mobiledet.detections import Detections
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.metrics.errors import (
    CalibrationBin,
    Confused,
    calibration,
    calibration_error,
    confused_pairs,
    confusion,
    error_kinds,
    image_errors,
)
from mobiledet.metrics.matches import match_detections
from mobiledet.metrics.thresholds import Rule, choose_thresholds
from mobiledet.truth import ImageId, Truth

LABELS = ("cat", "dog")
CAT, DOG = range(2)
# left, top, right, bottom, class and score
Row = tuple[float, float, float, float, int, float]


def truth_of(*rows: tuple[float, float, float, float, int], crowd: tuple[int, ...] = ()) -> Truth:
    boxes = np.array([row[:4] for row in rows], np.float64).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    return Truth(
        boxes,
        boxes[:, 2] * boxes[:, 3],
        np.array([row[4] for row in rows], np.int64),
        np.array([n in crowd for n in range(len(rows))], np.bool_),
    )


def found_of(*rows: Row) -> Detections:
    rows = tuple(sorted(rows, key=lambda row: -row[5]))
    return Detections(
        np.array([row[:4] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[5] for row in rows], np.float32),
        np.array([row[4] for row in rows], np.int64),
    )


# an image for each kind of error, and one in which all is right
TRUTH: dict[ImageId, Truth] = {
    "right": truth_of((0, 0, 10, 10, CAT), (50, 50, 60, 60, DOG)),
    "class": truth_of((0, 0, 10, 10, CAT)),
    "place": truth_of((0, 0, 10, 10, CAT)),
    "both": truth_of((0, 0, 10, 10, CAT)),
    "duplicate": truth_of((0, 0, 10, 10, DOG)),
    "background": truth_of(),
    "missed": truth_of((0, 0, 10, 10, DOG), (50, 50, 60, 60, DOG)),
    "crowd": truth_of((0, 0, 40, 40, CAT), crowd=(0,)),
}
FOUND: dict[ImageId, Detections] = {
    "right": found_of((0, 0, 10, 10, CAT, 0.92), (50, 50, 60, 60, DOG, 0.85)),
    "class": found_of((0, 0, 10, 10, DOG, 0.75)),
    "place": found_of((5, 0, 15, 10, CAT, 0.75)),
    "both": found_of((5, 0, 15, 10, DOG, 0.75)),
    "duplicate": found_of((0, 0, 10, 10, DOG, 0.92), (0, 0, 10, 9, DOG, 0.6)),
    "background": found_of((0, 0, 10, 10, CAT, 0.95), (0, 0, 10, 10, CAT, 0.1)),
    "crowd": found_of((0, 0, 10, 10, CAT, 0.85)),
}
THRESHOLDS = (0.5, 0.4)


def test_each_kind_of_error_is_told() -> None:
    evaluator = CocoEvaluator(LABELS, TRUTH)
    for image_id, detections in FOUND.items():
        evaluator.add(image_id, detections)
    kinds = error_kinds(evaluator, THRESHOLDS, 0.5)
    # what a wrong class or place explains is not missed, too; an error of both kinds explains nothing
    counts = {"class": 1, "place": 1, "both": 1, "duplicate": 1, "background": 1, "missed": 3}
    assert {kind: found.count for kind, found in kinds.items()} == counts
    assert kinds["missed"].ap_lost > 0.1
    assert kinds["background"].ap_lost > 0


def test_confusion_by_hand() -> None:
    matches = match_detections(LABELS, TRUTH, FOUND)
    none = len(LABELS)
    assert confusion(confused_pairs(matches, TRUTH, FOUND, THRESHOLDS, 0.5)) == (
        Confused(CAT, CAT, 1),
        Confused(CAT, DOG, 1),
        Confused(CAT, none, 2),
        Confused(DOG, DOG, 2),
        Confused(DOG, none, 2),
        Confused(none, CAT, 2),
        Confused(none, DOG, 2),
    )
    assert confusion(confused_pairs(matches, TRUTH, FOUND, (1, 1), 0.5)) == (
        Confused(CAT, none, 4),
        Confused(DOG, none, 4),
    )


def test_images_by_hand() -> None:
    matches = match_detections(LABELS, TRUTH, FOUND)
    errors = image_errors(matches, THRESHOLDS, 0.5)
    told = {matches.image_ids[e.image]: (e.objects, e.missed, e.wrong) for e in errors}
    assert told == {
        "right": (2, 0, 0),
        "class": (1, 1, 1),
        "place": (1, 1, 1),
        "both": (1, 1, 1),
        "duplicate": (1, 0, 1),
        "background": (0, 0, 1),
        "missed": (2, 2, 0),
        "crowd": (0, 0, 0),
    }
    assert [sum(told[matches.image_ids[e.image]][1:]) for e in errors] == [2, 2, 2, 2, 1, 1, 0, 0]


def test_calibration_by_hand() -> None:
    bins = calibration(match_detections(LABELS, TRUTH, FOUND), 0.5)
    assert [(b.found, b.count) for b in bins] == [(0, 1), (0, 1), (0, 3), (1, 1), (2, 3)]
    assert bins[-1].score == pytest.approx((0.92 + 0.92 + 0.95) / 3)
    assert calibration_error(bins) == pytest.approx((0.1 + 0.6 + 2.25 + 0.15 + 0.79) / 9)
    assert calibration_error(()) == 0
    assert calibration_error((CalibrationBin(0.5, 1, 2), CalibrationBin(0.9, 9, 10))) == pytest.approx(0)


@pytest.mark.parametrize("iou", [0.5, 0.75])
@pytest.mark.parametrize("seed", range(4))
def test_all_counts_agree(seed: int, iou: float) -> None:
    """Of one evaluation the table, the matrix, the kinds and the images tell one story."""
    rng = np.random.default_rng(seed)
    labels = tuple("abcdef")
    truth: dict[ImageId, Truth] = {}
    found: dict[ImageId, Detections] = {}
    for image in range(40):
        count = int(rng.integers(0, 8))
        corners = rng.uniform(0, 100, (count, 2))
        rows = np.column_stack([corners, corners + rng.uniform(10, 40, (count, 2)), rng.integers(0, 6, count)])
        truth[image] = truth_of(*map(tuple, rows.tolist()), crowd=tuple(np.flatnonzero(rng.random(count) < 0.1)))
        near = rows[rng.integers(0, count, 12)] if count else np.zeros((0, 5))
        near[:, :4] += rng.normal(0, 2, (len(near), 4))
        near[:, 2:4] = np.maximum(near[:, 2:4], near[:, :2] + 1)
        kinds = np.where(rng.random(len(near)) < 0.2, rng.integers(0, 6, len(near)), near[:, 4]).astype(int)
        scores = rng.random(len(near))
        found[image] = found_of(
            *((*r[:4], k, s) for r, k, s in zip(near.tolist(), kinds.tolist(), scores.tolist(), strict=True))
        )
    matches = match_detections(labels, truth, found)
    table = choose_thresholds(matches, Rule(), iou, resamplings=10)
    evaluator = CocoEvaluator(labels, truth)
    for image_id, detections in found.items():
        evaluator.add(image_id, detections)
    right, wrong = sum(c.found for c in table.classes), sum(c.wrong for c in table.classes)
    objects = sum(c.objects for c in table.classes)
    assert 0 < right < objects
    assert table.borrowed == ()

    matrix: Counter[tuple[int, int]] = Counter()
    for entry in confusion(confused_pairs(matches, truth, found, table.thresholds, iou)):
        matrix[entry.truth, entry.found] = entry.count
    assert [matrix[k, k] for k in range(6)] == [c.found for c in table.classes]
    for k, chosen in enumerate(table.classes):
        assert sum(matrix[k, j] for j in range(7)) == chosen.objects
        assert sum(matrix[j, k] for j in range(7)) == chosen.found + chosen.wrong
    images = image_errors(matches, table.thresholds, iou)
    assert sum(e.missed for e in images) == objects - right
    assert sum(e.wrong for e in images) == wrong
    kinds_of_errors = error_kinds(evaluator, table.thresholds, iou)
    assert sum(k.count for name, k in kinds_of_errors.items() if name != "missed") == wrong
    assert kinds_of_errors["missed"].count <= objects - right
