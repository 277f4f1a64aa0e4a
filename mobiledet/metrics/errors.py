"""What is wrong with detections: kinds of error, confusion of classes, calibration of scores, the worst images.

Kinds are those of TIDE (Bolya et al., 2020, arXiv 2008.08115, section 2), counted by hotcoco: a detection that finds
nothing is of the wrong class (it overlaps an object of another class), in the wrong place (it overlaps one of its class
a little), both, a duplicate, or background; an object that no such error explains is missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mobiledet.detections import Detections
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.metrics.matches import IOUS, Matches, match_detections
from mobiledet.records import Count, Range, Share
from mobiledet.truth import ImageId, Truth

# of ours, hotcoco's name
KINDS = {
    "class": "Cls",
    "place": "Loc",
    "both": "Both",
    "duplicate": "Dupe",
    "background": "Bkg",
    "missed": "Miss",
}
A_LITTLE = 0.1  # IoU from which on a detection is about an object
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class ErrorKind:
    """Errors of one kind.

    Attributes:
        count: at the thresholds.
        ap_lost: by how much AP at the IoU of matching would grow without them, over all detections.
    """

    count: Count
    ap_lost: Annotated[float, Range(-1, 1)]


@dataclass(frozen=True)
class Confused:
    """Objects of one class that were found as another, or as the same.

    Attributes:
        truth, found: class indices; the number of classes stands for background: found where nothing is, or not found.
        count: how many.
    """

    truth: Count
    found: Count
    count: Annotated[int, Range(1)]


@dataclass(frozen=True)
class CalibrationBin:
    """Detections of like scores.

    Attributes:
        score: their mean.
        found: those that find an object.
        count: all of them.
    """

    score: Share
    found: Count
    count: Annotated[int, Range(1)]

    def __post_init__(self) -> None:
        if self.found > self.count:
            raise ValueError("more detections find an object than there are")


@dataclass(frozen=True)
class ImageErrors:
    """What went wrong in an image at the thresholds.

    Attributes:
        image: position in the list of image ids.
        objects: to find.
        missed: not found.
        wrong: detections that find none.
    """

    image: int
    objects: int
    missed: int
    wrong: int


def error_kinds(evaluator: CocoEvaluator, thresholds: Sequence[float], iou: float) -> dict[str, ErrorKind]:
    """Errors of each kind of ``KINDS``.

    Args:
        evaluator: with the detections of all images.
        thresholds: of each class, for the counts.
        iou: from there on an object counts as found.
    """
    whole = evaluator.diagnosed().tide_errors(iou, A_LITTLE)["delta_ap"]
    shown = evaluator.diagnosed(thresholds).tide_errors(iou, A_LITTLE)["counts"]
    return {kind: ErrorKind(int(shown[name]), float(whole[name])) for kind, name in KINDS.items()}


def confusion(
    matches: Matches,
    truth: Mapping[ImageId, Truth],
    found: Mapping[ImageId, Detections],
    thresholds: Sequence[float],
    iou: float,
) -> tuple[Confused, ...]:
    """Which classes are taken for which at the thresholds, see ``confused_pairs``; what never occurs is left out."""
    pairs = confused_pairs(matches, truth, found, thresholds, iou)
    entries, counts = np.unique(pairs[:, 1:], axis=0, return_counts=True)
    return tuple(
        Confused(row, column, count) for (row, column), count in zip(entries.tolist(), counts.tolist(), strict=True)
    )


def confused_pairs(
    matches: Matches,
    truth: Mapping[ImageId, Truth],
    found: Mapping[ImageId, Detections],
    thresholds: Sequence[float],
    iou: float,
) -> NDArray[np.int64]:
    """What each object is found as at the thresholds, and each detection that finds none.

    A detection that finds an object of its own class does so, and the detections that are left take the objects that
    are left, whatever their class. So the diagonal is what the thresholds promise.

    Args:
        matches: of ``truth`` and ``found``.
        thresholds: of each class.
        iou: from there on an object counts as found.

    Returns:
        K x 3: position in the list of image ids, class of the object, class that it is found as; the number of classes
        stands for background.
    """
    t, background = _index(iou), len(matches.labels)
    shown = matches.score >= np.array(thresholds)[matches.label]
    right = matches.true[t] & shown
    is_left = ~matches.object_ignored
    is_left[matches.object[t, right]] = False
    left = np.flatnonzero(is_left)
    rest = np.flatnonzero(matches.false[t] & shown)
    rest = rest[np.lexsort((matches.row[rest], matches.image[rest]))]
    taken = _taken_whatever_the_class(matches, truth, found, rest, is_left, t)

    own, wrong = matches.label[right], matches.label[rest]
    kinds = np.where(taken < 0, background, matches.object_label[left[taken]] if len(left) else background)
    missed = np.delete(left, taken[taken >= 0])
    missed_label = matches.object_label[missed]
    return np.concatenate(
        [
            np.column_stack([matches.image[right], own, own]),
            np.column_stack([matches.image[rest], kinds, wrong]),
            np.column_stack([matches.object_image[missed], missed_label, np.full_like(missed_label, background)]),
        ]
    )


def _taken_whatever_the_class(
    matches: Matches,
    truth: Mapping[ImageId, Truth],
    found: Mapping[ImageId, Detections],
    rest: NDArray[np.int64],
    is_left: NDArray[np.bool_],
    t: int,
) -> NDArray[np.int64]:
    """For each of the detections ``rest``, ordered by image and row, its place among the objects left; -1 for none."""
    firsts = np.searchsorted(matches.image[rest], np.arange(len(matches.image_ids)))
    rows = np.split(matches.row[rest], firsts[1:])
    object_firsts = np.searchsorted(matches.object_image, np.arange(len(matches.image_ids)))
    lefts = np.split(is_left, object_firsts[1:])
    some_found, some_truth = {}, {}
    for image_id, kept, left in zip(matches.image_ids, rows, lefts, strict=True):
        if len(kept):
            whole = found[image_id]
            some_found[image_id] = Detections(whole.boxes_xyxy[kept], whole.scores[kept], np.zeros_like(kept))
        objects = truth[image_id]
        some_truth[image_id] = Truth(
            objects.boxes_xywh[left], objects.areas[left], np.zeros(left.sum(), np.int64), objects.is_crowd[left]
        )
    again = match_detections(("any",), some_truth, some_found)
    taken = np.full(len(rest), -1)
    taken[firsts[again.image] + again.row] = again.object[t]
    return taken


def calibration(matches: Matches, iou: float) -> tuple[CalibrationBin, ...]:
    """How often detections are right, by score: bins of equal width, empty ones left out."""
    t = _index(iou)
    counted = ~matches.ignored[t]
    scores, found = matches.score[counted], matches.true[t, counted]
    bins = np.minimum((scores * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    return tuple(
        CalibrationBin(float(scores[bins == b].mean()), int(found[bins == b].sum()), int((bins == b).sum()))
        for b in np.unique(bins).tolist()
    )


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Expected calibration error: mean difference of score and share of right detections, by detections."""
    total = sum(b.count for b in bins)
    return sum(abs(b.score * b.count - b.found) for b in bins) / total if total else 0.0


def image_errors(matches: Matches, thresholds: Sequence[float], iou: float) -> list[ImageErrors]:
    """Errors of every image at the thresholds of each class, most errors first, then in the order of the images."""
    t = _index(iou)
    images = len(matches.image_ids)
    shown = matches.score >= np.array(thresholds)[matches.label]

    def by_image(kind: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(matches.image[kind & shown], minlength=images)

    objects = matches.objects.sum(axis=1)
    missed, wrong = objects - by_image(matches.true[t]), by_image(matches.false[t])
    order = np.argsort(-(missed + wrong), kind="stable").tolist()
    return [ImageErrors(i, int(objects[i]), int(missed[i]), int(wrong[i])) for i in order]


def _index(iou: float) -> int:
    return int(np.argmin(np.abs(IOUS - iou)))
