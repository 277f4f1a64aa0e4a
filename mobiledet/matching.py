"""Two lists of detections of one image compared as sets. No torch.

Two runtimes differ in the last digits, so equal scores may change places, a score at the threshold may fall out, and of
two boxes whose overlap is just at the suppression threshold one or both may stay. Each of these is recognised; who
compares decides how much of it to forgive.
"""

from dataclasses import dataclass

import numpy as np

from mobiledet.detections import Detections
from mobiledet.spec import NmsSpec

SAME_OBJECT_IOU = 0.5


@dataclass(frozen=True)
class Tolerance:
    """When two detections are the same: of one class, with at least this IoU and at most this difference of scores."""

    iou: float
    score: float


@dataclass(frozen=True)
class Side:
    """The detections of one list that have no partner in the other; indices, best score first.

    Attributes:
        cut: score lies where lists are cut, at the threshold or the end of a full list; that says nothing.
        unsettled: the other list has given the place to an overlapping box of the same class.
        unexplained: the others.
    """

    cut: np.ndarray
    unsettled: np.ndarray
    unexplained: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """What ``compare_lists`` found.

    Attributes:
        pairs: ``expected`` and ``found`` (indices), ``iou`` and ``score_difference`` of the pairs on one object.
        good: which of the pairs are within the tolerance.
        missing: of the expected ones.
        invented: of those that were found.
    """

    pairs: np.ndarray
    good: np.ndarray
    missing: Side
    invented: Side

    @property
    def differing(self) -> int:
        """Detections of either list without a partner, but for those where lists are cut."""
        return sum(len(side.unsettled) + len(side.unexplained) for side in (self.missing, self.invented))


def compare_lists(
    expected: Detections, found: Detections, cut: float, nms: NmsSpec, tolerance: Tolerance
) -> Comparison:
    """Compare two lists, boxes in the same unit.

    Args:
        expected, found: the lists.
        cut: score below which there are no candidates. A full list is cut at its last score besides.
        nms: gives the overlap and the length of a full list.
        tolerance: when two detections are the same.
    """
    pairs, iou = match(expected, found)
    good = (pairs["iou"] >= tolerance.iou) & (pairs["score_difference"] <= tolerance.score)
    missing = _single(expected, found, pairs["expected"][good], iou, cut, nms, tolerance)
    invented = _single(found, expected, pairs["found"][good], iou.T, cut, nms, tolerance)
    return Comparison(pairs, good, missing, invented)


def match(expected: Detections, found: Detections) -> tuple[np.ndarray, np.ndarray]:
    """Pair the detections of two lists one to one where they are on one object, highest IoU first.

    Returns:
        a record array with ``expected`` and ``found`` (indices), ``iou`` and ``score_difference``; and the IoU of all
        pairs of one class, 0 for those of two.
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
    """Of pairs, best first, those of which neither row nor column is taken by one before."""
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
) -> Side:
    """Those of our list without a partner in theirs; ``iou`` is zero for boxes of two classes."""
    single = np.setdiff1d(np.arange(len(ours)), paired)
    single = single[np.argsort(-ours.scores[single], kind="stable")]
    scores = ours.scores[single]
    end = theirs.scores.min() if len(theirs) >= nms.max_detections else cut
    at_cut = (scores >= cut - tolerance.score) & (scores <= end + tolerance.score)
    # what may have suppressed it there: a box on its place, as good or better
    rival = theirs.scores[None] >= scores[:, None] - tolerance.score
    suppressed = (iou[single] * rival).max(axis=1, initial=0) >= nms.iou - (1 - tolerance.iou)
    return Side(single[at_cut], single[~at_cut & suppressed], single[~at_cut & ~suppressed])
