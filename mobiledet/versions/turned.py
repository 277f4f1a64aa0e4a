"""Counts errors in each image at score thresholds, to find images that turned right or wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.metrics.matches import Floats, Matches
from mobiledet.metrics.resampled import score_counts

IOU = 0.5


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of a version in each image, at IoU 0.5 and score thresholds.

    Attributes:
        threshold: score threshold of each class; detections of at least this score count.
        missed: for each image, the number of objects that were not detected.
        wrong: for each image, the number of detections that match no object.
    """

    threshold: Floats
    missed: NDArray[np.int64]
    wrong: NDArray[np.int64]

    @property
    def total(self) -> NDArray[np.int64]:
        """Number of errors in each image."""
        return self.missed + self.wrong

    @property
    def right(self) -> NDArray[np.bool_]:
        """For each image, whether all objects are detected and nothing else is."""
        return self.total == 0


def count_errors(matches: Matches, score: float | None = None) -> Errors:
    """The errors in each image.

    Args:
        matches: matches in all images.
        score: score threshold; None uses that of the best F1 of each class. A class without objects has none, and its
            detections do not count.
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
