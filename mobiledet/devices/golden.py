"""The golden gate: does a runtime give what the bundle says it must?"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.detections import Detections
from mobiledet.devices.base import GoldenReport
from mobiledet.errors import UserError

# part of the expected detections that may be decided the other way where two boxes overlap by just the NMS threshold
UNSETTLED_SHARE = 0.05


@dataclass(frozen=True)
class Tolerance:
    """When two detections are the same: of one class, with at least this IoU and at most this difference of scores."""

    iou: float
    score: float


def replay_golden(bundle: Bundle, file: ModelFile, detect: Callable[[np.ndarray], Detections]) -> GoldenReport:
    """Compare what a runtime finds in the golden inputs with what the bundle expects, as sets.

    Runtimes round differently, so a detection may lack its partner where lists are cut: at the score threshold or
    the end of a full list. A few may also lack it where the other side kept an overlapping box of the same class.

    Args:
        bundle: holds the cases and the tolerance of the file's precision.
        file: the model file under test.
        detect: runs it on an input image; boxes as fractions, that is in an image of 1 x 1.

    Raises:
        UserError: they differ, or the bundle has no golden case.
    """
    tolerance = Tolerance(**bundle.golden_tolerance(file.precision))
    cases = bundle.golden()
    if not cases:
        raise UserError(f"{bundle.path} holds no golden case, so no runtime can be checked with it; export it again")
    total = sum(len(case.scores) for case in cases)
    pairs, unsettled = [], 0
    for index, case in enumerate(cases):
        expected = Detections.from_graph_outputs(case.boxes, case.classes, case.scores, len(case.scores), 1, 1)
        found = detect(case.image)
        pairs.append(match(expected, found, tolerance))
        problem, open_questions = _differences(bundle, expected, found, pairs[-1], tolerance)
        unsettled += open_questions
        if not problem and unsettled > math.ceil(UNSETTLED_SHARE * total):
            problem = f"{unsettled} of {total} boxes are suppressed differently"
        if problem:
            raise UserError(
                f"{bundle.path}: {file.path} fails golden case {index} here: {problem}; "
                "its results would be worthless, try another --accelerator or export the bundle again"
            )
    matched = np.concatenate(pairs)
    return GoldenReport(
        cases=len(cases),
        detections=total,
        lowest_iou=float(matched["iou"].min(initial=1)),
        largest_score_difference=float(matched["score_difference"].max(initial=0)),
    )


def match(expected: Detections, found: Detections, tolerance: Tolerance) -> np.ndarray:
    """Pair the detections of two lists one to one, best score first, each with the same one of the highest IoU.

    Returns:
        a record array with ``expected`` and ``found`` (indices), ``iou`` and ``score_difference``.
    """
    iou = _iou(expected.boxes_xyxy, found.boxes_xyxy)
    difference = np.abs(expected.scores[:, None] - found.scores[None])
    same = (expected.labels[:, None] == found.labels[None]) & (iou >= tolerance.iou) & (difference <= tolerance.score)
    pairs = []
    for row in np.argsort(-expected.scores, kind="stable"):
        candidates = np.flatnonzero(same[row])
        if candidates.size:
            column = candidates[np.argmax(iou[row, candidates])]
            same[:, column] = False
            pairs.append((row, column, iou[row, column], difference[row, column]))
    return np.array(pairs, [("expected", int), ("found", int), ("iou", float), ("score_difference", float)])


def _differences(
    bundle: Bundle, expected: Detections, found: Detections, pairs: np.ndarray, tolerance: Tolerance
) -> tuple[str, int]:
    """What tells two lists apart, empty when nothing does; and how many boxes were suppressed on one side only."""
    nms = bundle.spec.nms
    if len(expected) and not found.scores.any():
        return f"all scores are zero where {len(expected)} detections are expected", 0
    unsettled = 0
    for verb, ours, theirs, paired in (
        ("misses", expected, found, pairs["expected"]),
        ("invents", found, expected, pairs["found"]),
    ):
        cut = theirs.scores.min() if len(theirs) >= nms.max_detections else nms.score
        single = np.setdiff1d(np.flatnonzero(ours.scores > cut + tolerance.score), paired)
        # a box on the same place that is as good may have suppressed it
        rival = (ours.labels[:, None] == theirs.labels) & (theirs.scores >= ours.scores[:, None] - tolerance.score)
        overlap = _iou(ours.boxes_xyxy, theirs.boxes_xyxy) * rival
        suppressed = overlap.max(axis=1, initial=0) >= nms.iou - (1 - tolerance.iou)
        unsettled += int(suppressed[single].sum())
        unexplained = single[~suppressed[single]]
        if unexplained.size:
            worst = unexplained[np.argmax(ours.scores[unexplained])]
            label = bundle.spec.labels[ours.labels[worst]]
            box = ", ".join(f"{side:.3f}" for side in ours.boxes_xyxy[worst])
            return f"it {verb} {label} {ours.scores[worst]:.3f} at ({box}), {single.size} of {len(ours)} differ", 0
    return "", unsettled


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """N x M intersection over union of N x 4 and M x 4 boxes (x1, y1, x2, y2)."""
    overlap = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    intersection = overlap.clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
