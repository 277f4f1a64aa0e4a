"""The gate of the export: does a model file find what PyTorch finds?

Detections are compared as sets (``mobiledet.matching``). What the last digits explain is forgiven within limits;
everything else counts as different.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.matching import Tolerance, compare_lists
from mobiledet.spec import NmsSpec

ROUNDING_MARGIN = 2  # two files of one precision round at different places


@dataclass(frozen=True)
class Gate(Tolerance):
    """How far a file may be from PyTorch.

    Attributes:
        unsettled: largest share of detections that may fall to the other side of the suppression threshold.
        different: largest share that may differ without an explanation.
    """

    unsettled: float
    different: float = 0.0


# Measured on 60 images with a trained ShuffleNetV2 0.5x (3287 detections), lowest IoU, largest score difference and
# share of unsettled ones: float32 0.99999, 1e-6, 0; float16 weights 0.998, 8e-4, 0.003; activations in float16 too, as
# on GPUs and in Core ML, 0.997, 2e-3, 0.005.
# With integers, on 60 images (5680 detections of ShuffleNetV2 0.5x): within IoU 0.9 and score 0.05 weights of 8 bits,
# and activations of 16 with them, leave 64 unsettled and none different; within IoU 0.8 and score 0.15 activations of
# 8 bits leave 51 unsettled and none different. A detector that is hardly trained loses more: 17 and 10 of 305. How much
# accuracy that costs is for a measurement of mAP to say; this gate finds files that are wrong.
TOLERANCES = {
    "float32": Gate(iou=0.99, score=1e-3, unsettled=0.01),
    "float16": Gate(iou=0.95, score=0.01, unsettled=0.02),
    "int8-weights": Gate(iou=0.9, score=0.05, unsettled=0.03, different=0.005),
    "int8": Gate(iou=0.8, score=0.15, unsettled=0.1, different=0.05),
    "int16x8": Gate(iou=0.9, score=0.05, unsettled=0.03, different=0.005),
    "palette6": Gate(iou=0.8, score=0.15, unsettled=0.1, different=0.05),
    "w8a8": Gate(iou=0.8, score=0.15, unsettled=0.1, different=0.05),
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
    matched = cut = unsettled = 0
    different: list[str] = []
    pairs = []
    for number, (ours, theirs, least) in enumerate(zip(expected, found, cuts, strict=True)):
        image = compare_lists(ours, theirs, least, nms, tolerance)
        missing, invented = image.missing, image.invented
        matched += int(image.good.sum())
        cut += len(missing.cut) + len(invented.cut)
        unsettled += max(len(missing.unsettled), len(invented.unsettled))
        different += [f"image {number}: it misses {_in_words(ours, index)}" for index in missing.unexplained]
        different += [f"image {number}: it invents {_in_words(theirs, index)}" for index in invented.unexplained]
        # two boxes of which one won here and the other there tell nothing about precision
        counted = image.good | np.isin(image.pairs["expected"], missing.unexplained)
        pairs.append(image.pairs[counted | np.isin(image.pairs["found"], invented.unexplained)])
    compared = np.concatenate(pairs)
    return ParityReport(
        images=len(pairs),
        expected=sum(map(len, expected)),
        matched=matched,
        cut=cut,
        unsettled=unsettled,
        different=len(different),
        lowest_iou=float(compared["iou"].min(initial=1)),
        mean_iou=float(compared["iou"].mean()) if compared.size else 1.0,
        largest_score_difference=float(compared["score_difference"].max(initial=0)),
        example=different[0] if different else "",
    )


def worst(reports: Iterable[ParityReport]) -> ParityReport:
    """One with the most differences and the most unsettled detections of all."""
    reports = list(reports)
    return replace(
        reports[0],
        different=max(report.different for report in reports),
        unsettled=max(report.unsettled for report in reports),
    )


def check(report: ParityReport, tolerance: Gate, name: str, rounding: ParityReport | None = None) -> None:
    """Let a file pass or not.

    Args:
        report: of its comparison.
        tolerance: the one that it was made with.
        name: of the file, for the message.
        rounding: the most that numbers of the file's precision do in PyTorch itself. A detector that ranks proposals
            takes others after the least change; the file may differ by up to ``ROUNDING_MARGIN`` times as much.

    Raises:
        UserError: the file does not find what PyTorch finds.
    """
    may_differ = max(
        ROUNDING_MARGIN * rounding.different if rounding else 0, math.floor(tolerance.different * report.expected)
    )
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


def _in_words(detections: Detections, index: int) -> str:
    box = ", ".join(f"{side:.1f}" for side in detections.boxes_xyxy[index])
    return f"class {detections.labels[index]}, score {detections.scores[index]:.3f}, box ({box})"
