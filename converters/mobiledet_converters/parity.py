"""The export's question: does a model file find what PyTorch finds?

It is a question of statistics over the detections of several images, compared as sets (``mobiledet.matching``). Each
detection weighs as much as its score, so that a hundred faint boxes of a crowded image do not outvote its objects. What
the last digits decide (ties, scores at the threshold, overlaps at the suppression threshold) is forgiven within limits,
and a share that a few detections give by chance is told from one that many give. Whether a *runtime* computes what a
file says is another question, see ``mobiledet.devices.golden``.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mobiledet.detections import Detections
from mobiledet.matching import Comparison, Tolerance, Unmatched, compare_lists
from mobiledet.spec import NmsSpec
from mobiledet_converters.precisions import Gate

ROUNDING_MARGIN = 2  # two files of one precision round at different places
DEVIATIONS = 3  # standard deviations that a share may lie above its mean by chance


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
        recall: part of PyTorch's detections that the file gives too, by score; those that nothing explains are missed.
        precision: part of the file's detections that PyTorch gives too, likewise.
        flipped: the unsettled ones as a part of all, by score.
        weight: number of equal detections that tell as much as these, which differ in score.
        score_ratio: sum of the file's scores over that of PyTorch's, in the pairs on one object.
        score_error: mean difference of their scores, without sign.
        score_ratio_noise: its standard error.
        offset: largest of the four mean differences of the sides of a pair's boxes, in widths and heights of the box.
        offset_noise: its standard error.
        lowest_iou, mean_iou, largest_score_difference: of the pairs on one object; 1, 1 and 0 without pairs.
        example: one of the different ones, in words; empty when there is none.
    """

    images: int
    expected: int
    matched: int
    cut: int
    unsettled: int
    different: int
    recall: float
    precision: float
    flipped: float
    weight: float
    score_ratio: float
    score_ratio_noise: float
    score_error: float
    offset: float
    offset_noise: float
    lowest_iou: float
    mean_iou: float
    largest_score_difference: float
    example: str = ""


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
    images = [
        _Image(ours, theirs, compare_lists(ours, theirs, cut, nms, tolerance))
        for ours, theirs, cut in zip(expected, found, cuts, strict=True)
    ]
    example = next((f"image {number}: {words}" for number, image in enumerate(images) if (words := image.example)), "")
    scores = np.concatenate([image.expected.scores for image in images])
    ours, theirs = (np.concatenate([image.paired(side) for image in images]) for side in ("expected", "found"))
    pairs = np.concatenate([image.counted for image in images])
    agreed, missed, invented, flipped = np.sum([image.weights for image in images], axis=0)
    ratio, ratio_noise = _ratio(theirs[:, 4], ours[:, 4])
    sizes = np.tile(np.maximum(ours[:, 2:4] - ours[:, :2], 1e-6), 2)
    shifts = [_ratio(ours[:, 4] * side, ours[:, 4], 0.0) for side in ((theirs[:, :4] - ours[:, :4]) / sizes).T]
    offset, offset_noise = max(shifts, key=lambda shift: abs(shift[0]))
    return ParityReport(
        images=len(images),
        expected=len(scores),
        matched=sum(int(image.compared.good.sum()) for image in images),
        cut=sum(len(side.cut) for image in images for side in image.sides),
        unsettled=sum(max(len(side.unsettled) for side in image.sides) for image in images),
        different=sum(len(side.unexplained) for image in images for side in image.sides),
        recall=_part(agreed, agreed + missed),
        precision=_part(agreed, agreed + invented),
        flipped=flipped / max(agreed + missed + flipped, 1e-9),
        weight=float(scores.sum() ** 2 / max(np.square(scores).sum(), 1e-9)),
        score_ratio=ratio,
        score_ratio_noise=ratio_noise,
        score_error=float(pairs["score_difference"].mean()) if pairs.size else 0.0,
        offset=abs(offset),
        offset_noise=offset_noise,
        lowest_iou=float(pairs["iou"].min(initial=1)),
        mean_iou=float(pairs["iou"].mean()) if pairs.size else 1.0,
        largest_score_difference=float(pairs["score_difference"].max(initial=0)),
        example=example,
    )


@dataclass(frozen=True)
class _Image:
    """Both lists of an image and what their comparison found."""

    expected: Detections
    found: Detections
    compared: Comparison

    @property
    def sides(self) -> tuple[Unmatched, Unmatched]:
        return self.compared.missing, self.compared.extra

    @property
    def weights(self) -> tuple[float, float, float, float]:
        """Sums of the scores of the detections that agree, are missed, are invented and are unsettled."""
        ours, theirs = self.expected.scores, self.found.scores
        missing, invented = self.sides
        return (
            float(ours[self.compared.pairs["expected"][self.compared.good]].sum()),
            float(ours[missing.unexplained].sum()),
            float(theirs[invented.unexplained].sum()),
            float(max(ours[missing.unsettled].sum(), theirs[invented.unsettled].sum())),
        )

    @property
    def counted(self) -> np.ndarray:
        """The pairs without those of two boxes of which one won here and the other there, which tell nothing."""
        pairs, (missing, invented) = self.compared.pairs, self.sides
        different = np.isin(pairs["expected"], missing.unexplained) | np.isin(pairs["found"], invented.unexplained)
        return pairs[self.compared.good | different]

    def paired(self, side: str) -> np.ndarray:
        """Boxes and scores (P x 5) of one side of the pairs that count."""
        detections: Detections = getattr(self, side)
        rows = self.counted[side]
        return np.column_stack((detections.boxes_xyxy[rows], detections.scores[rows]))

    @property
    def example(self) -> str:
        missing, invented = self.sides
        for verb, detections, side in (("misses", self.expected, missing), ("invents", self.found, invented)):
            if side.unexplained.size:
                return f"it {verb} {_in_words(detections, side.unexplained[0])}"
        return ""


def worst(reports: Iterable[ParityReport]) -> ParityReport:
    """One with the most of all that may differ by rounding."""
    reports = list(reports)
    return replace(
        reports[0],
        different=max(report.different for report in reports),
        unsettled=max(report.unsettled for report in reports),
        recall=min(report.recall for report in reports),
        precision=min(report.precision for report in reports),
        flipped=max(report.flipped for report in reports),
        score_ratio=max((report.score_ratio for report in reports), key=_factor),
        score_error=max(report.score_error for report in reports),
        offset=max(report.offset for report in reports),
    )


def problem(report: ParityReport, gate: Gate, rounding: ParityReport | None = None) -> str:
    """What tells the file from PyTorch, in words; empty where it passes.

    Args:
        report: of its comparison.
        gate: the one that it was made with.
        rounding: the most that numbers of the file's precision do in PyTorch itself. A detector that ranks proposals
            takes others after the least change; the file may differ by up to ``ROUNDING_MARGIN`` times as much.
    """
    least = rounding or replace(report, recall=1.0, precision=1.0, flipped=0.0)
    if report.different and not report.matched and not report.unsettled:
        return f"it finds none of the {report.expected} detections of PyTorch; {report.example}"
    one = 1 / max(report.weight, 1.0)  # a single detection may always fall to the other side of the threshold
    for name, share, bound, rounded in (
        ("it misses", 1 - report.recall, _allowed(gate.different, report.weight), 1 - least.recall),
        ("it invents", 1 - report.precision, _allowed(gate.different, report.weight), 1 - least.precision),
        ("it suppresses otherwise", report.flipped, max(one, _allowed(gate.unsettled, report.weight)), least.flipped),
    ):
        allowed = max(bound, ROUNDING_MARGIN * rounded)
        if share > allowed:
            return (
                f"{name} {share:.1%} of the detections by score ({allowed:.1%} allowed; {report.matched} of "
                f"{report.expected} match within IoU {gate.iou:g} and score {gate.score:g}, {report.different} differ, "
                f"{report.unsettled} are unsettled); {report.example or 'boxes overlap differently'}"
            )
    return shift(report, gate, rounding)


def shift(report: ParityReport, gate: Gate, rounding: ParityReport | None = None) -> str:
    """What is wrong with all scores or all boxes as a whole, in words; empty where nothing is.

    mAP does not see scores that are all wrong by one factor, but every threshold of an app does. Takes what ``problem``
    takes; where rounding moves detections at random, a few of them may lie to one side by chance.
    """
    factor, error, offset = gate.score_ratio, gate.score / 2, gate.offset
    if rounding:
        factor = max(factor, _factor(rounding.score_ratio) ** ROUNDING_MARGIN)
        factor += DEVIATIONS * report.score_ratio_noise
        error = max(error, ROUNDING_MARGIN * rounding.score_error)
        offset = max(offset, ROUNDING_MARGIN * rounding.offset) + DEVIATIONS * report.offset_noise
    if _factor(report.score_ratio) > factor:
        return f"its scores are {report.score_ratio:.3f} times PyTorch's as a whole ({factor:.4g} allowed)"
    if report.score_error > error:
        return f"its scores are off by {report.score_error:.3f} in the mean ({error:.3g} allowed)"
    if report.offset > offset:
        return f"its boxes are off by {report.offset:.1%} of their size as a whole ({offset:.1%} allowed)"
    return ""


def _factor(ratio: float) -> float:
    """By how much scores differ, whichever side has more."""
    return max(ratio, 1 / ratio) if ratio > 0 else math.inf


def _allowed(share: float, weight: float) -> float:
    """The largest share that as many detections give by chance if ``share`` is its mean."""
    return share + DEVIATIONS * math.sqrt(share * (1 - share) / max(weight, 1.0))


def _ratio(some: np.ndarray, all_of_them: np.ndarray, of_nothing: float = 1.0) -> tuple[float, float]:
    """Of two sums, and its standard error."""
    total = all_of_them.sum()
    if total <= 0:
        return of_nothing, 0.0
    ratio = some.sum() / total
    return float(ratio), float(np.sqrt(np.square(some - ratio * all_of_them).sum()) / total)


def _part(some: float, all_of_them: float) -> float:
    return float(some / all_of_them) if all_of_them > 0 else 1.0


def _in_words(detections: Detections, index: int) -> str:
    box = ", ".join(f"{side:.1f}" for side in detections.boxes_xyxy[index])
    return f"class {detections.labels[index]}, score {detections.scores[index]:.3f}, box ({box})"
