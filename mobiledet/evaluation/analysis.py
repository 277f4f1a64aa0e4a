"""Chooses the thresholds of an evaluation and analyses the errors at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.metrics.errors import (
    KINDS,
    CalibrationBin,
    Confused,
    ErrorKind,
    calibration,
    confused_pairs,
    confusion,
    error_kinds,
    image_errors,
)
from mobiledet.metrics.matches import IOUS, match_detections
from mobiledet.metrics.thresholds import Promise, Rule, ThresholdTable, choose_thresholds
from mobiledet.records import Count, Share
from mobiledet.truth import ImageId, Truth

WORST = 12  # number of worst images that are listed


@dataclass(frozen=True)
class WorstImage:
    """An image with many errors.

    Attributes:
        file_name: its file name.
        objects: number of ground-truth objects.
        missed: number of objects that were not detected.
        wrong: number of detections that match no object.
    """

    file_name: str
    objects: Count
    missed: Count
    wrong: Count


@dataclass(frozen=True)
class Analysis:
    """Thresholds, and the errors at them.

    Attributes:
        iou: IoU from which on a detection matches an object.
        tables: thresholds by rule; the best F1 comes first, and the fields below refer to its thresholds.
        errors: errors by kind.
        confusion: pairs of classes that are confused.
        calibration: precision of the detections by score, over all of them.
        worst: the images with the most errors.
    """

    iou: Share
    tables: tuple[ThresholdTable, ...]
    errors: dict[str, ErrorKind]
    confusion: tuple[Confused, ...]
    calibration: tuple[CalibrationBin, ...]
    worst: tuple[WorstImage, ...]

    def check(self, class_count: int) -> None:
        """Check values that were read from a file for consistency.

        Raises:
            ValueError: they are inconsistent; names the field.
        """
        if not self.tables or self.tables[0].rule != Rule():
            raise ValueError("analysis.tables does not start with the best F1")
        if any(len(table.classes) != class_count for table in self.tables):
            raise ValueError(f"analysis.tables does not have thresholds of {class_count} classes")
        if list(self.errors) != list(KINDS):
            raise ValueError(f"analysis.errors are not {', '.join(KINDS)}")
        if any(max(entry.truth, entry.found) > class_count for entry in self.confusion):
            raise ValueError("analysis.confusion names a class that does not exist")


def promise_text(promise: Promise | None) -> str:
    """A precision or recall with its interval, as text."""
    return f"{promise.value:.3f} ({promise.low:.2f}–{promise.high:.2f})" if promise else ""


def requested_rules(min_precision: float | None, min_recall: float | None, iou: float) -> tuple[Rule, ...]:
    """The rules that the options request, the best F1 first.

    Raises:
        UserError: an option is out of range.
    """
    if not any(abs(iou - known) < 1e-9 for known in IOUS):
        raise UserError(f"--match-iou {iou:g} is not one of 0.5, 0.55, ... 0.95")
    rules = [Rule()]
    for kind, level in (("precision", min_precision), ("recall", min_recall)):
        if level is not None:
            if not 0 < level <= 1:
                raise UserError(f"--min-{kind} {level:g} is not above 0 and at most 1, such as 0.9")
            rules.append(Rule(kind, level))  # type: ignore[arg-type]
    return tuple(rules)


def analyse(
    labels: Sequence[str],
    truth: Mapping[ImageId, Truth],
    found: Mapping[ImageId, Detections],
    label_of: Sequence[int | None],
    evaluator: CocoEvaluator,
    names: Mapping[ImageId, str],
    rules: Sequence[Rule] = (Rule(),),
    iou: float = 0.5,
) -> Analysis:
    """Choose thresholds and analyse the errors at them.

    Args:
        labels, truth, label_of: as in ``CocoEvaluator``.
        found: the detections in each image.
        evaluator: an evaluator of these detections.
        names: file name of each image.
        rules: rules for the thresholds, the best F1 first.
        iou: IoU from which on a detection matches an object: 0.5, 0.55, ... 0.95.
    """
    matches = match_detections(labels, truth, found, label_of)
    tables = tuple(choose_thresholds(matches, rule, iou) for rule in rules)
    thresholds = tables[0].thresholds
    worst = [image for image in image_errors(matches, thresholds, iou)[:WORST] if image.missed or image.wrong]
    return Analysis(
        iou=iou,
        tables=tables,
        errors=error_kinds(evaluator, thresholds, iou),
        confusion=confusion(confused_pairs(matches, truth, found, thresholds, iou)),
        calibration=calibration(matches, iou),
        worst=tuple(
            WorstImage(names[matches.image_ids[image.image]], image.objects, image.missed, image.wrong)
            for image in worst
        ),
    )
