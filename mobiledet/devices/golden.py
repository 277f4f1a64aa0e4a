"""The golden gate: does a runtime reproduce the outputs of a model file?"""

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

# fraction of the expected detections that may be suppressed differently because an IoU is near the NMS threshold
UNSETTLED_SHARE = 0.05
FEW = 10  # with at least this number of expected detections, half of them must match even if lists are cut


def replay_golden(
    bundle: Bundle, file: ModelFile, accelerator: str, detect: Callable[[GoldenCase], Detections]
) -> GoldenReport:
    """Compare the detections of a runtime in the golden cases with those of the file at export, as sets.

    Runtimes round differently, so a detection may be unmatched where lists are cut: at the score threshold, at the last
    candidate, or at the end of a full list. A few detections may also be unmatched because the other side kept an
    overlapping box of the same class.

    Args:
        bundle: provides the cases, the expected detections, and the tolerance.
        file: the model file under test.
        accelerator: the accelerator that runs it; accelerators and processors have different tolerances.
        detect: runs the file on a case; returns boxes as fractions of the model's input.

    Raises:
        UserError: the detections differ.
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
            problems[0] = f"it detects nothing where {total} detections are expected"
        elif total >= FEW and 2 * len(matched) < total:
            problems[0] = f"only {len(matched)} of {total} detections match"
    failed = [index for index, problem in enumerate(problems) if problem]
    if failed:
        reason = diagnose(replayed, bundle.spec)
        raise UserError(
            f"{bundle.path}: this runtime does not reproduce the outputs of {file.path}: {reason}; golden case "
            f"{failed[0]}: {problems[failed[0]]}; its results would be worthless, try another --accelerator"
        )
    return GoldenReport(
        cases=len(cases),
        detections=total,
        lowest_iou=float(matched["iou"].min(initial=1)),
        largest_score_difference=float(matched["score_difference"].max(initial=0)),
    )


def as_fractions(frame: Frame, spec: InputSpec | None) -> Detections:
    """The detections in a golden case, with boxes as fractions of the model's input.

    Args:
        frame: the result of a device for the case.
        spec: input of the model, if the case was sent as an encoded image; None if it was sent as the model's input, so
            that its boxes are fractions already.

    Raises:
        UserError: the device could not read the image.
    """
    if frame.problem:
        raise UserError(f"the device {frame.problem}")
    if spec is None:
        return frame.detections
    return Placement.of(frame.height, frame.width, spec).from_image(frame.detections)


def _difference(bundle: Bundle, expected: Detections, found: Detections, compared: Comparison) -> str:
    """Description of an unexplained difference between two lists; empty if there is none."""
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
