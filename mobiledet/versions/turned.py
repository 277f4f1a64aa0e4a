"""Which images turned right or wrong from one version to the other, at the scores of an app."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.metrics.matches import Floats, Matches
from mobiledet.metrics.resampled import score_counts

IOU = 0.5


@dataclass(frozen=True, eq=False)
class Errors:
    """What a version does in each image, at IoU 0.5 and its scores.

    Attributes:
        threshold: of each class; detections of at least this score count.
        missed, wrong: of each image; objects that nothing found, and detections that found none.
    """

    threshold: Floats
    missed: NDArray[np.int64]
    wrong: NDArray[np.int64]

    @property
    def total(self) -> NDArray[np.int64]:
        """Errors of each image."""
        return self.missed + self.wrong

    @property
    def right(self) -> NDArray[np.bool_]:
        """Every object is found, and nothing else."""
        return self.total == 0


def count_errors(matches: Matches, score: float | None = None) -> Errors:
    """The errors in each image.

    Args:
        matches: of all images.
        score: that counts; None takes those of the best F1 of each class. A class without objects has none, and none of
            its detections count then.
    """
    classes, images = len(matches.labels), len(matches.image_ids)
    threshold = np.full(classes, np.inf)
    for label in range(classes):
        threshold[label] = _best_score(matches, label) if score is None else score
    counted = matches.score >= threshold[matches.label]
    found, wrong = (
        np.bincount(matches.image[kind[0] & counted], minlength=images) for kind in (matches.true, matches.false)
    )
    return Errors(threshold, matches.objects.sum(axis=1) - found, wrong)


def _best_score(matches: Matches, label: int) -> float:
    counts = score_counts(matches, label, IOU)
    if not counts.objects[0] or not len(counts.score):
        return np.inf
    f1 = 2 * counts.true[0] / (counts.true[0] + counts.false[0] + counts.objects[0])
    return float(counts.score[np.argmax(f1)])
