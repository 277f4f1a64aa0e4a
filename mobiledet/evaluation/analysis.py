"""What to ship and what goes wrong: the thresholds of an evaluation and the errors that remain at them."""

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
    confusion,
    error_kinds,
    image_errors,
)
from mobiledet.metrics.matches import IOUS, match_detections
from mobiledet.metrics.thresholds import Promise, Rule, ThresholdTable, choose_thresholds
from mobiledet.records import Count, Share
from mobiledet.truth import ImageId, Truth

WORST = 12  # images that are named


@dataclass(frozen=True)
class WorstImage:
    """An image with many errors.

    Attributes:
        file_name: of it.
        objects: to find.
        missed: not found.
        wrong: detections that find none.
    """

    file_name: str
    objects: Count
    missed: Count
    wrong: Count


@dataclass(frozen=True)
class Analysis:
    """Thresholds, and the errors at them.

    Attributes:
        iou: from there on an object counts as found.
        tables: thresholds by rule; the best F1 comes first, and all below is told at its thresholds.
        errors: by kind.
        confusion: which classes are taken for which.
        calibration: how often detections are right, by score, over all of them.
        worst: the images with the most errors.
    """

    iou: Share
    tables: tuple[ThresholdTable, ...]
    errors: dict[str, ErrorKind]
    confusion: tuple[Confused, ...]
    calibration: tuple[CalibrationBin, ...]
    worst: tuple[WorstImage, ...]

    def check(self, class_count: int) -> None:
        """Refuse what no evaluation gives.

        Raises:
            ValueError: names the field.
        """
        if not self.tables or self.tables[0].rule != Rule():
            raise ValueError("analysis.tables does not begin with the best F1")
        if any(len(table.classes) != class_count for table in self.tables):
            raise ValueError(f"analysis.tables has thresholds of other than {class_count} classes")
        if list(self.errors) != list(KINDS):
            raise ValueError(f"analysis.errors are not {', '.join(KINDS)}")
        if any(max(entry.truth, entry.found) > class_count for entry in self.confusion):
            raise ValueError("analysis.confusion names a class that there is not")


def promise_text(promise: Promise | None) -> str:
    """A share and its interval."""
    return f"{promise.value:.3f} ({promise.low:.2f}–{promise.high:.2f})" if promise else ""


def wished_rules(min_precision: float | None, min_recall: float | None, iou: float) -> tuple[Rule, ...]:
    """The rules that options ask for, the best F1 first.

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
    """Choose thresholds and look into the errors.

    Args:
        labels, truth, label_of: as of ``CocoEvaluator``.
        found: the detections of each image.
        evaluator: has been given all of it.
        names: file name of each image.
        rules: for the thresholds; the best F1 is first.
        iou: one of 0.5, 0.55, ... 0.95.
    """
    matches = match_detections(labels, truth, found, label_of)
    tables = tuple(choose_thresholds(matches, rule, iou) for rule in rules)
    thresholds = tables[0].thresholds
    worst = [image for image in image_errors(matches, thresholds, iou)[:WORST] if image.missed or image.wrong]
    return Analysis(
        iou=iou,
        tables=tables,
        errors=error_kinds(evaluator, thresholds, iou),
        confusion=confusion(matches, truth, found, thresholds, iou),
        calibration=calibration(matches, iou),
        worst=tuple(
            WorstImage(names[matches.image_ids[image.image]], image.objects, image.missed, image.wrong)
            for image in worst
        ),
    )
