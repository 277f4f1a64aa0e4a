"""The gate of the export: does a model file find what PyTorch finds?

Detections are compared as sets. Two runtimes differ in the last digits, so equal scores may change places, a score at
the threshold may fall out, and of two boxes whose overlap is just at the suppression threshold one or both may stay.
Each of these is recognised and forgiven within limits; everything else counts as different.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.ops.boxes import pairwise_iou
from mobiledet.spec import NmsSpec

SAME_OBJECT_IOU = 0.5
ROUNDING_MARGIN = 2  # two files of one precision round at different places


@dataclass(frozen=True)
class Tolerance:
    """How far a file may be from PyTorch.

    Attributes:
        iou: lowest of a pair.
        score: largest difference of a pair.
        unsettled: largest share of detections that may fall to the other side of the suppression threshold.
    """

    iou: float
    score: float
    unsettled: float


# Measured on 60 images with a trained ShuffleNetV2 0.5x (3287 detections), lowest IoU, largest score difference and
# share of unsettled ones: float32 0.99999, 1e-6, 0; float16 weights 0.998, 8e-4, 0.003; activations in float16 too, as
# on GPUs and in Core ML, 0.997, 2e-3, 0.005.
TOLERANCES = {
    "float32": Tolerance(iou=0.99, score=1e-3, unsettled=0.01),
    "float16": Tolerance(iou=0.95, score=0.01, unsettled=0.02),
}


@dataclass(frozen=True)
class ParityReport:
    """The comparison over all images.

    Attributes:
        images: compared.
        expected: detections of PyTorch.
        matched: those that the file gives too, within the tolerance.
        cut: detections of either side without a partner whose score lies where lists are cut; that says nothing.
        unsettled: others whose place the other side has given to an overlapping box of the same class; counted on the
            side that has more of them.
        different: detections of either side that nothing explains.
        lowest_iou, mean_iou, largest_score_difference: of the pairs on one object; 1, 1 and 0 without pairs.
        example: one of the different ones, in words; empty when there is none.
    """

    images: int
    expected: int
    matched: int
    cut: int
    unsettled: int
    different: int
    lowest_iou: float
    mean_iou: float
    largest_score_difference: float
    example: str = ""

    @property
    def is_exact(self) -> bool:
        """Whether every detection off the cut has its partner."""
        return self.unsettled == 0 and self.different == 0


def compare(
    expected: Sequence[Detections],
    found: Sequence[Detections],
    cuts: Sequence[float],
    nms: NmsSpec,
    tolerance: Tolerance,
) -> ParityReport:
    """Compare the detections of the same images, one entry each.

    Args:
        expected: PyTorch's.
        found: the file's, boxes in the same unit.
        cuts: score below which there are no candidates: the threshold, or that of the last candidate that is looked
            at. A full list is cut at its last score besides.
        nms: gives the overlap and the length of a full list.
        tolerance: when two detections are the same.
    """
    triples = zip(expected, found, cuts, strict=True)
    images = [_compare_image(e, f, cut, nms, tolerance) for e, f, cut in triples]
    iou = np.concatenate([image.iou for image in images])
    return ParityReport(
        images=len(images),
        expected=sum(map(len, expected)),
        matched=sum(image.matched for image in images),
        cut=sum(image.cut for image in images),
        unsettled=sum(image.unsettled for image in images),
        different=sum(len(image.different) for image in images),
        lowest_iou=float(iou.min(initial=1)),
        mean_iou=float(iou.mean()) if iou.size else 1.0,
        largest_score_difference=float(np.concatenate([i.score_difference for i in images]).max(initial=0)),
        example=next((f"image {i}: {image.different[0]}" for i, image in enumerate(images) if image.different), ""),
    )


def check(report: ParityReport, tolerance: Tolerance, name: str, rounding: ParityReport | None = None) -> None:
    """Let a file pass or not.

    Args:
        report: of its comparison.
        tolerance: the one that it was made with.
        name: of the file, for the message.
        rounding: what numbers of the file's precision do in PyTorch itself. A detector that ranks proposals takes
            others after the least change; the file may differ by up to ``ROUNDING_MARGIN`` times as much.

    Raises:
        UserError: the file does not find what PyTorch finds.
    """
    may_differ = ROUNDING_MARGIN * rounding.different if rounding else 0
    allowed = math.ceil(tolerance.unsettled * report.expected)
    if rounding:
        allowed = max(allowed, ROUNDING_MARGIN * rounding.unsettled)
    if report.different > may_differ or report.unsettled > allowed:
        raise UserError(
            f"{name} does not find what PyTorch finds: {report.matched} of {report.expected} detections match within "
            f"IoU {tolerance.iou:g} and score {tolerance.score:g}, {report.different} differ ({may_differ} allowed), "
            f"{report.unsettled} are unsettled ({allowed} allowed); lowest IoU {report.lowest_iou:.4f}, largest score "
            f"difference {report.largest_score_difference:.4f}; {report.example or 'boxes overlap differently'}"
        )


@dataclass(frozen=True)
class _ImageComparison:
    matched: int
    cut: int
    unsettled: int
    different: list[str]
    iou: np.ndarray
    score_difference: np.ndarray


def _compare_image(
    expected: Detections, found: Detections, cut: float, nms: NmsSpec, tolerance: Tolerance
) -> _ImageComparison:
    iou = pairwise_iou(torch.from_numpy(expected.boxes_xyxy), torch.from_numpy(found.boxes_xyxy)).numpy()
    iou = np.where(expected.labels[:, None] == found.labels[None], iou, 0)
    rows, columns = _pair(iou)
    pair_iou = iou[rows, columns]
    difference = np.abs(expected.scores[rows] - found.scores[columns])
    good = (pair_iou >= tolerance.iou) & (difference <= tolerance.score)

    at_cut = 0
    unsettled: list[int] = []  # on either side
    unexplained: list[str] = []
    counted = good.copy()  # pairs; two boxes of which one won here and the other there tell nothing about precision
    for verb, ours, theirs, overlap, paired in (
        ("misses", expected, found, iou, rows),
        ("invents", found, expected, iou.T, columns),
    ):
        end = theirs.scores.min() if len(theirs) >= nms.max_detections else cut
        unsettled.append(0)
        for index in np.setdiff1d(np.arange(len(ours)), paired[good]).tolist():
            # what may have suppressed it there: a box on its place, as good or better
            rivals = theirs.scores >= ours.scores[index] - tolerance.score
            if cut - tolerance.score <= ours.scores[index] <= end + tolerance.score:
                at_cut += 1
            elif (overlap[index] * rivals).max(initial=0) >= nms.iou - (1 - tolerance.iou):
                unsettled[-1] += 1
            else:
                unexplained.append(f"it {verb} {_in_words(ours, index)}")
                counted |= paired == index
    return _ImageComparison(
        matched=int(good.sum()),
        cut=at_cut,
        unsettled=max(unsettled),
        different=unexplained,
        iou=pair_iou[counted],
        score_difference=difference[counted],
    )


def _pair(iou: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-to-one pairs on the same object, highest IoU first: rows and columns."""
    rows, columns = np.nonzero(iou >= SAME_OBJECT_IOU)
    order = np.argsort(-iou[rows, columns], kind="stable")
    used_rows, used_columns, pairs = set(), set(), []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            pairs.append((row, column))
    first, second = np.array(pairs, int).reshape(-1, 2).T
    return first, second


def _in_words(detections: Detections, index: int) -> str:
    box = ", ".join(f"{side:.1f}" for side in detections.boxes_xyxy[index])
    return f"class {detections.labels[index]}, score {detections.scores[index]:.3f}, box ({box})"
