"""Diagnoses a runtime that fails the golden gate: which typical error explains its outputs?

For each known error, the detections are corrected as if it had occurred; the error whose correction makes most of them
match is reported. The diagnosis is only a hint for the user.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mobiledet.detections import Detections
from mobiledet.golden import GoldenCase
from mobiledet.matching import match, pairwise_iou
from mobiledet.spec import ModelSpec

SAME_IOU, SAME_SCORE = 0.75, 0.1  # least IoU and largest score difference of matching detections
EXPLAINED = 0.75  # fraction of detections that must match once an error is corrected
MIN_SCORE = 1e-6


@dataclass(frozen=True)
class Replayed:
    """A golden case and the detections of a runtime in it.

    Attributes:
        case: the case, with the expected detections.
        found: detections of the runtime, boxes as fractions of the model's input.
        passes: whether they agree.
    """

    case: GoldenCase
    found: Detections
    passes: bool


def diagnose(replayed: Sequence[Replayed], spec: ModelSpec) -> str:
    """The probable cause of the failure, as text.

    Args:
        replayed: all cases; at least one does not pass.
        spec: spec of the model.
    """
    expected, found = [each.case.expected for each in replayed], [each.found for each in replayed]
    if not any(each.scores.any() for each in found):
        return "all scores are zero" if any(map(len, found)) else "it detects nothing at all"
    images = [each for each in replayed if each.case.encoded]
    inputs = [each for each in replayed if not each.case.encoded]
    if images and inputs and all(each.passes for each in inputs):
        expected, found = [each.case.expected for each in images], [each.found for each in images]
        error = _box_error(expected, found, _TURNS, spec)
        return f"it decodes or resizes images differently ({error or 'prepared inputs give the right detections'})"
    error = (
        _other_case(expected, found)
        or _wrong_classes(expected, found)
        or _subset(expected, found, spec)
        or _box_error(expected, found, {**_BOXES, **_TURNS}, spec)
        or _wrong_scores(expected, found)
        or _offset(expected, found)
    )
    if error:
        return error
    in_place = _agreement(expected, found, iou=0.5, score=np.inf, labels=False)
    if in_place < 0.1:
        return "hardly any box is in the right place: it runs on another image, or preprocesses images differently"
    return (
        f"{100 * _agreement(expected, found):.0f} % of the detections are right: it preprocesses images differently "
        "(channels, scale, normalisation), or it runs other weights"
    )


def _agreement(
    expected: Sequence[Detections],
    found: Sequence[Detections],
    iou: float = SAME_IOU,
    score: float = SAME_SCORE,
    labels: bool = True,
) -> float:
    """Fraction of detections that match, 0..1."""
    paired = total = 0
    for ours, theirs in zip(expected, found, strict=True):
        pairs, _ = match(*((ours, theirs) if labels else (_one_class(ours), _one_class(theirs))))
        paired += int(((pairs["iou"] >= iou) & (pairs["score_difference"] <= score)).sum())
        total += max(len(ours), len(theirs))
    return paired / max(total, 1)


def _one_class(found: Detections) -> Detections:
    return replace(found, labels=np.zeros_like(found.labels))


def _other_case(expected: Sequence[Detections], found: Sequence[Detections]) -> str:
    """Check whether the detections belong to other cases."""
    sources = []
    for index, theirs in enumerate(found):
        scores = [_agreement([ours], [theirs]) if len(ours) else 0.0 for ours in expected]
        sources.append(index if scores[index] >= max(scores) else int(np.argmax(scores)))
        if max(scores) < EXPLAINED:
            return ""
    if sources == list(range(len(found))):
        return ""
    if sorted(sources) == list(range(len(found))):
        return "it returns the cases in another order"
    swapped = next(index for index, source in enumerate(sources) if source != index)
    return f"for case {swapped} it returns the detections of case {sources[swapped]}"


def _subset(expected: Sequence[Detections], found: Sequence[Detections], spec: ModelSpec) -> str:
    """Check whether one side is a subset of the other."""
    count, given = sum(map(len, expected)), sum(map(len, found))
    paired = _agreement(expected, found) * sum(max(len(a), len(b)) for a, b in zip(expected, found, strict=True))
    if given < count and paired >= 0.95 * given:
        if all(len(theirs) <= 1 for theirs in found):
            return "it returns only the best detection of each image"
        lost = f"{count - given} of {count} detections are missing, the others are right"
        kept = all(
            len(theirs) >= len(ours)
            or ours.scores[np.argsort(-ours.scores)][len(theirs)] <= theirs.scores.min(initial=1)
            for ours, theirs in zip(expected, found, strict=True)
        )
        return lost + (" and have the highest scores: its list is truncated" if kept else "")
    if given > count and paired >= 0.95 * count:
        if any(_overlap(theirs) > spec.nms.iou + 0.05 for theirs in found):
            return "duplicate boxes are not suppressed"
        return f"it returns {given - count} detections in addition to the {count} right ones"
    if any(
        _overlap(theirs) > max(spec.nms.iou, _overlap(ours)) + 0.05
        for ours, theirs in zip(expected, found, strict=True)
    ):
        return "duplicate boxes are not suppressed"
    return ""


def _overlap(found: Detections) -> float:
    """The largest IoU between two boxes of one class."""
    iou = pairwise_iou(found.boxes_xyxy, found.boxes_xyxy) * (found.labels[:, None] == found.labels)
    return float(np.triu(iou, 1).max(initial=0))


Boxes = Callable[[np.ndarray, ModelSpec], np.ndarray]
# error -> function that corrects the boxes (xyxy)
_BOXES: dict[str, Boxes] = {
    "x and y of its boxes are swapped": lambda b, spec: b[:, [1, 0, 3, 2]],
    "its boxes are in pixels of the input, not fractions": lambda b, spec: (
        b / np.array([spec.input.width, spec.input.height] * 2, np.float32)
    ),
    "its boxes are centre and size, not corners": lambda b, spec: np.concatenate(
        (b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2), axis=1
    ),
    "its boxes are corner and size, not two corners": lambda b, spec: np.concatenate(
        (b[:, :2], b[:, :2] + b[:, 2:]), axis=1
    ),
    "its boxes are half as large as they should be": lambda b, spec: b * 2,
    "its boxes are twice as large as they should be": lambda b, spec: b / 2,
}
_TURNS: dict[str, Boxes] = {
    "the image is mirrored horizontally": lambda b, spec: np.stack(
        (1 - b[:, 2], b[:, 1], 1 - b[:, 0], b[:, 3]), axis=1
    ),
    "the image is mirrored vertically": lambda b, spec: np.stack((b[:, 0], 1 - b[:, 3], b[:, 2], 1 - b[:, 1]), axis=1),
    "the image is rotated by 180 degrees": lambda b, spec: 1 - b[:, [2, 3, 0, 1]],
    "the image is rotated clockwise by 90 degrees": lambda b, spec: np.stack(
        (b[:, 1], 1 - b[:, 2], b[:, 3], 1 - b[:, 0]), axis=1
    ),
    "the image is rotated anticlockwise by 90 degrees": lambda b, spec: np.stack(
        (1 - b[:, 3], b[:, 0], 1 - b[:, 1], b[:, 2]), axis=1
    ),
    "rows and columns of the image are swapped": lambda b, spec: b[:, [1, 0, 3, 2]],
}


def _box_error(
    expected: Sequence[Detections], found: Sequence[Detections], table: dict[str, Boxes], spec: ModelSpec
) -> str:
    """The error in a table whose correction explains the detections best, if any does."""
    explained = {
        error: _agreement(expected, [replace(each, boxes_xyxy=undo(each.boxes_xyxy, spec)) for each in found])
        for error, undo in table.items()
    }
    best = max(explained, key=explained.__getitem__)
    return best if explained[best] >= EXPLAINED else ""


def _wrong_classes(expected: Sequence[Detections], found: Sequence[Detections]) -> str:
    """Check whether only the classes are wrong."""
    if _agreement(expected, found, labels=False) < EXPLAINED or _agreement(expected, found) >= EXPLAINED:
        return ""
    ours, theirs = _paired(expected, found, SAME_IOU)
    if not (np.concatenate([each.labels for each in found])).any():
        return "every class is 0; boxes and scores are right"
    shift, count = np.unique(theirs.labels - ours.labels, return_counts=True)
    if count.max() >= EXPLAINED * count.sum() and shift[count.argmax()]:
        return f"its classes are shifted by {shift[count.argmax()]:+d}; boxes and scores are right"
    return "its boxes and scores are right, its classes are wrong (channels swapped, or another list of labels)"


def _wrong_scores(expected: Sequence[Detections], found: Sequence[Detections]) -> str:
    """Check whether only the scores are wrong."""
    if _agreement(expected, found, score=np.inf) < EXPLAINED or _agreement(expected, found) >= EXPLAINED:
        return ""
    ours, theirs = _paired(expected, found, SAME_IOU, labels=True)
    a, b = ours.scores.astype(np.float64), theirs.scores.astype(np.float64)
    if np.median(np.abs(_sigmoid(b) - a)) < 0.01:
        return "the sigmoid is not applied to its scores; boxes and classes are right"
    if np.median(np.abs(_sigmoid(a) - b)) < 0.01:
        return "the sigmoid is applied to its scores twice; boxes and classes are right"
    ratios = b / np.maximum(a, MIN_SCORE)
    if np.ptp(np.quantile(ratios, (0.1, 0.9))) < 0.05 * np.median(ratios):
        return f"its scores are {np.median(ratios):.2g} times as high; boxes and classes are right"
    return "its scores are wrong; boxes and classes are right"


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values.clip(-50, 50))))


def _offset(expected: Sequence[Detections], found: Sequence[Detections]) -> str:
    """Check whether all boxes are shifted by the same offset."""
    ours, theirs = _nearest(expected, found)
    if not len(ours):
        return ""
    shift = np.median(theirs.boxes_xyxy - ours.boxes_xyxy, axis=0)
    moved = [replace(each, boxes_xyxy=each.boxes_xyxy - shift) for each in found]
    if _agreement(expected, moved) < EXPLAINED or _agreement(expected, found, iou=0.98) >= EXPLAINED:
        return ""
    x, y = (shift[:2] + shift[2:]) / 2
    return f"its boxes are shifted by ({x:+.3f}, {y:+.3f}) of the image"


def _nearest(expected: Sequence[Detections], found: Sequence[Detections]) -> tuple[Detections, Detections]:
    """Each expected detection with the detection of its class that has the nearest centre."""
    pairs = []
    for ours, theirs in zip(expected, found, strict=True):
        if len(ours) and len(theirs):
            centres = [each.boxes_xyxy[:, :2] + each.boxes_xyxy[:, 2:] for each in (ours, theirs)]
            distance = np.abs(centres[0][:, None] - centres[1][None]).sum(axis=2)
            distance = np.where(ours.labels[:, None] == theirs.labels, distance, np.inf)
            near = np.isfinite(distance.min(axis=1))
            pairs.append((_rows(ours, near), _rows(theirs, distance.argmin(axis=1)[near])))
    return _joined([pair[0] for pair in pairs]), _joined([pair[1] for pair in pairs])


def _paired(
    expected: Sequence[Detections], found: Sequence[Detections], iou: float, labels: bool = False
) -> tuple[Detections, Detections]:
    """The pairs of detections whose boxes match."""
    sides: tuple[list[Detections], list[Detections]] = ([], [])
    for ours, theirs in zip(expected, found, strict=True):
        pairs, _ = match(*((ours, theirs) if labels else (_one_class(ours), _one_class(theirs))))
        pairs = pairs[pairs["iou"] >= iou]
        sides[0].append(_rows(ours, pairs["expected"]))
        sides[1].append(_rows(theirs, pairs["found"]))
    return _joined(sides[0]), _joined(sides[1])


def _rows(found: Detections, rows: np.ndarray) -> Detections:
    return Detections(found.boxes_xyxy[rows], found.scores[rows], found.labels[rows])


def _joined(parts: Sequence[Detections]) -> Detections:
    parts = [Detections.empty(), *parts]
    return Detections(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes_xyxy", "scores", "labels"))
    )
