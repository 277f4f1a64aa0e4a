"""Does a model file detect the same objects as PyTorch? The check that every exported file must pass.

The detections of several images are compared as sets (``mobiledet.matching``) and judged statistically. Each detection
is weighted by its score, so that a hundred faint boxes of a crowded image do not outweigh its objects. Differences that
depend on the last digits (ties, scores at the threshold, overlaps at the suppression threshold) are accepted within
limits, and the limits allow for chance where there are few detections. Whether a *runtime* executes a file correctly is
another question, see ``mobiledet.devices.golden``.
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
DEVIATIONS = 3  # standard deviations by which a share may exceed its mean by chance


@dataclass(frozen=True)
class ParityReport:
    """The comparison over all images.

    Attributes:
        images: number of compared images.
        expected: number of detections of PyTorch.
        matched: number of those that the file also gives, within the tolerance.
        cut: number of unmatched detections on either side whose score is near the end of a truncated list; they are
            ignored.
        unsettled: number of other unmatched detections that the other side suppressed in favour of an overlapping box
            of the same class; counted on the side that has more of them.
        different: number of detections on either side that none of this explains.
        recall: score-weighted fraction of PyTorch's detections that the file gives too; unexplained ones are missed.
        precision: score-weighted fraction of the file's detections that PyTorch gives too.
        flipped: score-weighted fraction of unsettled detections.
        weight: effective sample size: the number of detections of equal score that would be as informative.
        score_ratio: sum of the file's scores over the sum of PyTorch's, over pairs on one object.
        score_ratio_noise: standard error of ``score_ratio``.
        score_error: mean absolute difference of the scores of a pair.
        offset: largest of the four mean differences of box edges in a pair, relative to the width or height of the box.
        offset_noise: standard error of ``offset``.
        lowest_iou, mean_iou, largest_score_difference: over the pairs on one object; 1, 1 and 0 without pairs.
        example: description of one of the different detections; empty if there is none.
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
    """Compare the detections of a file with those of PyTorch.

    Args:
        expected: PyTorch's detections, one entry for each image.
        found: the file's detections of the same images, boxes in the same unit.
        cuts: for each image, the score below which there are no candidates: the score threshold, or the score of the
            last candidate considered. A full list is also cut at its last score.
        nms: provides the IoU threshold and the maximum length of a list.
        tolerance: when two detections count as the same.
    """
    images = [
        _Image(ours, theirs, compare_lists(ours, theirs, cut, nms, tolerance))
        for ours, theirs, cut in zip(expected, found, cuts, strict=True)
    ]
    example = next((f"image {number}: {text}" for number, image in enumerate(images) if (text := image.example)), "")
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
        recall=_fraction(agreed, agreed + missed),
        precision=_fraction(agreed, agreed + invented),
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
    """The detections of both sides in an image, and their comparison."""

    expected: Detections
    found: Detections
    compared: Comparison

    @property
    def sides(self) -> tuple[Unmatched, Unmatched]:
        return self.compared.missing, self.compared.extra

    @property
    def weights(self) -> tuple[float, float, float, float]:
        """Sums of the scores of the detections that agree, are missed, are invented, and are unsettled."""
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
        """The pairs on one object: without pairs of boxes that won suppression on one side only."""
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
                return f"it {verb} {_describe(detections, side.unexplained[0])}"
        return ""


def worst(reports: Iterable[ParityReport]) -> ParityReport:
    """A report with the worst value of each figure that rounding can change."""
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
    """How the file differs from PyTorch; empty if it passes.

    Args:
        report: comparison of the file with PyTorch.
        gate: the limits; the comparison was made with its tolerance.
        rounding: the largest differences that rounding to the file's precision causes in PyTorch itself. A detector
            that ranks proposals selects others after the smallest change; the file may differ by up to
            ``ROUNDING_MARGIN`` times as much.
    """
    least = rounding or replace(report, recall=1.0, precision=1.0, flipped=0.0)
    if report.different and not report.matched and not report.unsettled:
        return f"it gives none of the {report.expected} detections of PyTorch; {report.example}"
    one = 1 / max(report.weight, 1.0)  # a single detection may always fall to the other side of the threshold
    for name, share, bound, rounded in (
        ("it misses", 1 - report.recall, _allowed(gate.different, report.weight), 1 - least.recall),
        ("it invents", 1 - report.precision, _allowed(gate.different, report.weight), 1 - least.precision),
        ("it suppresses differently", report.flipped, max(one, _allowed(gate.unsettled, report.weight)), least.flipped),
    ):
        allowed = max(bound, ROUNDING_MARGIN * rounded)
        if share > allowed:
            return (
                f"{name} {share:.1%} of the detections by score ({allowed:.1%} allowed; {report.matched} of "
                f"{report.expected} match within IoU {gate.iou:g} and score {gate.score:g}, {report.different} differ, "
                f"{report.unsettled} are unsettled); {report.example or 'boxes overlap differently'}"
            )
    return systematic_error(report, gate, rounding)


def systematic_error(report: ParityReport, gate: Gate, rounding: ParityReport | None = None) -> str:
    """A systematic error of all scores or all boxes; empty if there is none.

    mAP does not notice if all scores are wrong by one factor, but the score threshold of an app does. The arguments are
    those of ``problem``; rounding moves detections at random, so the mean of a few of them may be off by chance.
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
    """The ratio of scores, as a factor of at least 1."""
    return max(ratio, 1 / ratio) if ratio > 0 else math.inf


def _allowed(share: float, weight: float) -> float:
    """The largest share that ``weight`` detections may show by chance if its mean is ``share``."""
    return share + DEVIATIONS * math.sqrt(share * (1 - share) / max(weight, 1.0))


def _ratio(parts: np.ndarray, totals: np.ndarray, default: float = 1.0) -> tuple[float, float]:
    """The ratio of two sums, and its standard error; ``default`` and 0 if the second sum is 0."""
    total = totals.sum()
    if total <= 0:
        return default, 0.0
    ratio = parts.sum() / total
    return float(ratio), float(np.sqrt(np.square(parts - ratio * totals).sum()) / total)


def _fraction(part: float, total: float) -> float:
    return float(part / total) if total > 0 else 1.0


def _describe(detections: Detections, index: int) -> str:
    box = ", ".join(f"{side:.1f}" for side in detections.boxes_xyxy[index])
    return f"class {detections.labels[index]}, score {detections.scores[index]:.3f}, box ({box})"
