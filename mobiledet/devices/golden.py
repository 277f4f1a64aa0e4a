"""The golden gate: does a runtime give what the bundle says it must?"""

import math
from collections.abc import Callable

import numpy as np

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.detections import Detections
from mobiledet.devices.base import GoldenReport
from mobiledet.errors import UserError
from mobiledet.matching import Comparison, Tolerance, compare_lists

# part of the expected detections that may be decided the other way where two boxes overlap by just the NMS threshold
UNSETTLED_SHARE = 0.05


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
        compared = compare_lists(expected, found, bundle.spec.nms.score, bundle.spec.nms, tolerance)
        pairs.append(compared.pairs[compared.good])
        problem, open_questions = _differences(bundle, expected, found, compared)
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


def _differences(bundle: Bundle, expected: Detections, found: Detections, compared: Comparison) -> tuple[str, int]:
    """What tells two lists apart, empty when nothing does; and how many boxes were suppressed on one side only."""
    if len(expected) and not found.scores.any():
        return f"all scores are zero where {len(expected)} detections are expected", 0
    for verb, ours, side in (("misses", expected, compared.missing), ("invents", found, compared.invented)):
        if side.unexplained.size:
            worst = side.unexplained[0]
            label = bundle.spec.labels[ours.labels[worst]]
            box = ", ".join(f"{corner:.3f}" for corner in ours.boxes_xyxy[worst])
            count = len(side.unexplained) + len(side.unsettled)
            return f"it {verb} {label} {ours.scores[worst]:.3f} at ({box}), {count} of {len(ours)} differ", 0
    return "", len(compared.missing.unsettled) + len(compared.invented.unsettled)
