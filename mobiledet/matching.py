"""Compares two lists of detections of one image as sets. Imports no torch.

Two runtimes differ in the last digits. So nearly equal scores may be in another order, a score near the threshold may
be dropped, and of two boxes whose overlap is near the threshold of non-maximum suppression one or both may remain.
These cases are recognised; the caller decides which of them to accept.
"""

from dataclasses import dataclass

import numpy as np

from mobiledet.detections import Detections
from mobiledet.spec import NmsSpec

SAME_OBJECT_IOU = 0.5


@dataclass(frozen=True)
class Tolerance:
    """When two detections of one class agree: at least this IoU, and at most this difference of scores."""

    iou: float
    score: float


@dataclass(frozen=True)
class Unmatched:
    """The detections of one list without a counterpart in the other, as indices, highest score first.

    Attributes:
        cut: those whose score is where lists are cut, at the threshold or the end of a full list; no real difference.
        unsettled: those that the other list may have suppressed in favour of an overlapping box of the same class.
        unexplained: all others.
    """

    cut: np.ndarray
    unsettled: np.ndarray
    unexplained: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """Result of ``compare_lists``.

    Attributes:
        pairs: record array with ``expected`` and ``found`` (indices), ``iou`` and ``score_difference`` of each pair.
        good: for each pair, whether it is within the tolerance.
        missing: expected detections without a counterpart.
        extra: found detections without a counterpart.
    """

    pairs: np.ndarray
    good: np.ndarray
    missing: Unmatched
    extra: Unmatched

    @property
    def differing(self) -> int:
        """Number of detections of either list without a counterpart, except for those where lists are cut."""
        return sum(len(side.unsettled) + len(side.unexplained) for side in (self.missing, self.extra))


def compare_lists(
    expected: Detections, found: Detections, cut: float, nms: NmsSpec, tolerance: Tolerance
) -> Comparison:
    """Compare two lists, boxes in the same unit.

    Args:
        expected, found: the lists.
        cut: score below which there are no candidates. A full list is also cut at its lowest score.
        nms: settings of non-maximum suppression: the IoU, and the length of a full list.
        tolerance: when two detections agree.
    """
    pairs, iou = match(expected, found)
    good = (pairs["iou"] >= tolerance.iou) & (pairs["score_difference"] <= tolerance.score)
    missing = _single(expected, found, pairs["expected"][good], iou, cut, nms, tolerance)
    extra = _single(found, expected, pairs["found"][good], iou.T, cut, nms, tolerance)
    return Comparison(pairs, good, missing, extra)


def match(expected: Detections, found: Detections) -> tuple[np.ndarray, np.ndarray]:
    """Pair the detections of two lists one to one, highest IoU first; a pair has one class and an IoU of at least 0.5.

    Returns:
        a record array with ``expected`` and ``found`` (indices), ``iou`` and ``score_difference``; and the IoU matrix,
        with 0 for detections of different classes.
    """
    iou = np.where(
        expected.labels[:, None] == found.labels[None], pairwise_iou(expected.boxes_xyxy, found.boxes_xyxy), 0
    )
    difference = np.abs(expected.scores[:, None] - found.scores[None])
    rows, columns = np.nonzero(iou >= SAME_OBJECT_IOU)
    order = np.lexsort((difference[rows, columns], -iou[rows, columns]))
    paired = pair_off(rows[order], columns[order])
    pairs = [(row, column, iou[row, column], difference[row, column]) for row, column in paired]
    return np.array(pairs, [("expected", int), ("found", int), ("iou", float), ("score_difference", float)]), iou


def pair_off(rows: np.ndarray, columns: np.ndarray) -> list[tuple[int, int]]:
    """Greedily keep the pairs, best first, whose row and column are in no pair kept before."""
    used_rows, used_columns, pairs = set(), set(), []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            pairs.append((row, column))
    return pairs


def pairwise_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """N x M intersection over union of N x 4 and M x 4 boxes (x1, y1, x2, y2); 0 for boxes without area."""
    overlap = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    intersection = overlap.clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def _single(
    ours: Detections,
    theirs: Detections,
    paired: np.ndarray,
    iou: np.ndarray,
    cut: float,
    nms: NmsSpec,
    tolerance: Tolerance,
) -> Unmatched:
    """The detections in ``ours`` without a counterpart in ``theirs``; ``iou`` is 0 for different classes."""
    single = np.setdiff1d(np.arange(len(ours)), paired)
    single = single[np.argsort(-ours.scores[single], kind="stable")]
    scores = ours.scores[single]
    end = theirs.scores.min() if len(theirs) >= nms.max_detections else cut
    at_cut = (scores >= cut - tolerance.score) & (scores <= end + tolerance.score)
    # a box that overlaps it with an equal or better score may have suppressed it there
    rival = theirs.scores[None] >= scores[:, None] - tolerance.score
    suppressed = (iou[single] * rival).max(axis=1, initial=0) >= nms.iou - (1 - tolerance.iou)
    return Unmatched(single[at_cut], single[~at_cut & suppressed], single[~at_cut & ~suppressed])
