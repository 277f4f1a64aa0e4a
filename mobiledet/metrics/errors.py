"""Analysis of wrong detections: kinds of error, confusion of classes, calibration of scores, the worst images.

The kinds of error are those of TIDE (Bolya et al., 2020, arXiv 2008.08115, section 2), counted by hotcoco: a wrong
detection has the wrong class (it overlaps an object of another class), the wrong place (its IoU with an object of its
class is too low), both, is a duplicate, or is on background; an object that is not explained by such an error is
missed.
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

# our name of each kind -> hotcoco's
KINDS = {
    "class": "Cls",
    "place": "Loc",
    "both": "Both",
    "duplicate": "Dupe",
    "background": "Bkg",
    "missed": "Miss",
}
A_LITTLE = 0.1  # lowest IoU at which a detection is related to an object
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class ErrorKind:
    """Errors of one kind.

    Attributes:
        count: number of errors at the score thresholds.
        ap_lost: by how much AP at the IoU of matching would rise without these errors, over all detections.
    """

    count: Count
    ap_lost: Annotated[float, Range(-1, 1)]


@dataclass(frozen=True)
class Confused:
    """An entry of the confusion matrix: objects of one class that were detected as another, or as the same.

    Attributes:
        truth, found: class indices. The number of classes stands for background: as ``truth`` for detections without an
            object, as ``found`` for missed objects.
        count: number of cases.
    """

    truth: Count
    found: Count
    count: Annotated[int, Range(1)]


@dataclass(frozen=True)
class CalibrationBin:
    """Detections with similar scores.

    Attributes:
        score: their mean score.
        found: number of correct detections.
        count: number of all detections.
    """

    score: Share
    found: Count
    count: Annotated[int, Range(1)]

    def __post_init__(self) -> None:
        if self.found > self.count:
            raise ValueError("there are more correct detections than detections")


@dataclass(frozen=True)
class ImageErrors:
    """The errors in an image at the score thresholds.

    Attributes:
        image: index in the list of image ids.
        objects: number of objects.
        missed: number of objects that were not detected.
        wrong: number of detections without an object.
    """

    image: int
    objects: int
    missed: int
    wrong: int


def error_kinds(evaluator: CocoEvaluator, thresholds: Sequence[float], iou: float) -> dict[str, ErrorKind]:
    """Errors of each kind of ``KINDS``.

    Args:
        evaluator: evaluator with the detections of all images.
        thresholds: score threshold of each class, for the counts.
        iou: lowest IoU at which an object counts as detected.
    """
    whole = evaluator.diagnosed().tide_errors(iou, A_LITTLE)["delta_ap"]
    shown = evaluator.diagnosed(thresholds).tide_errors(iou, A_LITTLE)["counts"]
    return {kind: ErrorKind(int(shown[name]), float(whole[name])) for kind, name in KINDS.items()}


def confusion(pairs: NDArray[np.int64]) -> tuple[Confused, ...]:
    """The confusion matrix as its non-zero entries.

    Args:
        pairs: result of ``confused_pairs``.
    """
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
    """The class that each object is detected as at the score thresholds, and each detection without an object.

    First detections are matched with objects of their own class; then the remaining detections are matched with the
    remaining objects of any class. So the diagonal is consistent with the recall at the thresholds.

    Args:
        matches: the matches of ``truth`` and ``found``.
        truth: ground truth of each image.
        found: detections in each image.
        thresholds: score threshold of each class.
        iou: lowest IoU at which an object counts as detected.

    Returns:
        K x 3: index in the list of image ids, class of the object, class of the detection; the number of classes stands
        for background.
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
    """For each of the detections ``rest``, ordered by image and row, the index of its object among those that are left;
    -1 for none."""
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
    """The fraction of correct detections by score, in bins of equal width; empty bins are left out."""
    t = _index(iou)
    counted = ~matches.ignored[t]
    scores, found = matches.score[counted], matches.true[t, counted]
    bins = np.minimum((scores * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    return tuple(
        CalibrationBin(float(scores[bins == b].mean()), int(found[bins == b].sum()), int((bins == b).sum()))
        for b in np.unique(bins).tolist()
    )


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Expected calibration error: mean difference between score and fraction of correct detections, weighted by the
    number of detections."""
    total = sum(b.count for b in bins)
    return sum(abs(b.score * b.count - b.found) for b in bins) / total if total else 0.0


def image_errors(matches: Matches, thresholds: Sequence[float], iou: float) -> list[ImageErrors]:
    """The errors in every image at the score thresholds of each class; most errors first, then in the order of
    images."""
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
