"""The golden gate: does a runtime compute what a model file gives?"""

import math
from collections.abc import Callable

import numpy as np

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.detections import Detections
from mobiledet.devices.base import Frame, GoldenReport
from mobiledet.devices.diagnosis import Replayed, diagnose
from mobiledet.errors import UserError
from mobiledet.golden import GoldenCase
from mobiledet.matching import Comparison, compare_lists
from mobiledet.placement import Placement
from mobiledet.spec import InputSpec

# part of the expected detections that may be decided the other way where two boxes overlap by just the NMS threshold
UNSETTLED_SHARE = 0.05
FEW = 10  # from so many expected detections on, at least half must have a partner, wherever lists are cut


def replay_golden(
    bundle: Bundle, file: ModelFile, accelerator: str, detect: Callable[[GoldenCase], Detections]
) -> GoldenReport:
    """Compare what a runtime finds in the golden cases with what the file gave at export, as sets.

    Runtimes round differently, so a detection may lack its partner where lists are cut: at the score threshold, at the
    last candidate that was looked at, or at the end of a full list. A few may also lack it where the other side kept an
    overlapping box of the same class.

    Args:
        bundle: holds the cases, what the file gave for them, and how far a runtime may be from that.
        file: the model file under test.
        accelerator: what really runs it; one that is no processor has a tolerance of its own.
        detect: runs it on a case; boxes as fractions of the model's input.

    Raises:
        UserError: they differ.
    """
    tolerance = bundle.recorded.files[file.path].tolerance(accelerator)
    cases = bundle.golden(file)
    total = sum(len(case.expected) for case in cases)
    replayed, compared, problems, unsettled = [], [], [], 0
    for case in cases:
        found = detect(case)
        comparison = compare_lists(case.expected, found, case.cut, bundle.spec.nms, tolerance)
        unsettled += max(len(comparison.missing.unsettled), len(comparison.extra.unsettled))
        problem = _difference(bundle, case.expected, found, comparison)
        if not problem and unsettled > math.ceil(UNSETTLED_SHARE * total):
            problem = f"{unsettled} of {total} boxes are suppressed differently"
        replayed.append(Replayed(case, found, passes=not problem))
        compared.append(comparison)
        problems.append(problem)
    matched = np.concatenate([comparison.pairs[comparison.good] for comparison in compared])
    if not any(problems):
        if total and not any(each.found.scores.any() for each in replayed):
            problems[0] = f"it finds nothing where {total} detections are expected"
        elif total >= FEW and 2 * len(matched) < total:
            problems[0] = f"{len(matched)} of {total} detections are there"
    failed = [index for index, problem in enumerate(problems) if problem]
    if failed:
        reason = diagnose(replayed, bundle.spec)
        raise UserError(
            f"{bundle.path}: this runtime does not compute what {file.path} gives: {reason}; golden case "
            f"{failed[0]}: {problems[failed[0]]}; its results would be worthless, try another --accelerator"
        )
    return GoldenReport(
        cases=len(cases),
        detections=total,
        lowest_iou=float(matched["iou"].min(initial=1)),
        largest_score_difference=float(matched["score_difference"].max(initial=0)),
    )


def as_fractions(frame: Frame, spec: InputSpec | None) -> Detections:
    """What was found in a golden case that was sent as an image, boxes as fractions of the model's input.

    Without ``spec`` it was sent as that input, and so are its boxes already.

    Raises:
        UserError: the device could not read it.
    """
    if frame.problem:
        raise UserError(f"the device {frame.problem}")
    if spec is None:
        return frame.detections
    return Placement.of(frame.height, frame.width, spec).from_image(frame.detections)


def _difference(bundle: Bundle, expected: Detections, found: Detections, compared: Comparison) -> str:
    """What tells two lists apart for no good reason; empty when nothing does."""
    if len(expected) and len(found) and not found.scores.any():
        return f"all scores are zero where {len(expected)} detections are expected"
    for verb, ours, side in (("misses", expected, compared.missing), ("invents", found, compared.extra)):
        if side.unexplained.size:
            worst = side.unexplained[0]
            label = bundle.spec.labels[ours.labels[worst]]
            box = ", ".join(f"{corner:.3f}" for corner in ours.boxes_xyxy[worst])
            count = len(side.unexplained) + len(side.unsettled)
            return f"it {verb} {label} {ours.scores[worst]:.3f} at ({box}), {count} of {len(ours)} differ"
    return ""
