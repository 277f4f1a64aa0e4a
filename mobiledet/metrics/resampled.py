"""COCO's average precision, and counts by score, for resamplings of the images from a single matching.

COCOeval would match again for every list of images. But matches depend only on the image itself, so a bootstrap over
images needs one matching and weighted counts: an image that is drawn twice counts twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.metrics.matches import IOUS, Floats, Matches

RECALLS = np.linspace(0, 1, 101)
BLOCK_VALUES = 1 << 22  # largest number of values in an intermediate array


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Counts of a class at each possible score threshold, for B resamplings.

    Attributes:
        score: S different thresholds, descending; detections with at least this score count.
        true, false: B x S; number of correct and of wrong detections.
        objects: B; number of objects.
    """

    score: Floats
    true: Floats
    false: Floats
    objects: Floats

    @property
    def precision(self) -> Floats:
        """B x S; NaN without detections."""
        return _divided(self.true, self.true + self.false)

    @property
    def recall(self) -> Floats:
        """B x S; NaN without objects."""
        return _divided(self.true, np.broadcast_to(self.objects[:, None], self.true.shape))


def average_precision(matches: Matches, weights: NDArray[np.generic] | None = None) -> Floats:
    """COCO's AP for B resamplings of the images at once.

    A weight of two can differ from COCOeval with a repeated image only if detections of different images have equal
    scores, because COCOeval counts such detections one after the other.

    Args:
        matches: matches of all images.
        weights: B x I; how often each image counts; None counts each once.

    Returns:
        B x T x C; NaN for a class without objects.
    """
    weights = _weights(matches, weights)
    objects = matches.objects
    true = matches.true
    result = np.full((len(weights), len(IOUS), len(matches.labels)), np.nan)
    for label in np.flatnonzero(objects.any(axis=0)).tolist():
        here = matches.of_class(label)
        image, is_true, ignored = matches.image[here], true[:, here], matches.ignored[:, here]
        for block in _blocks(len(weights), len(image)):
            of_image = np.ascontiguousarray(weights[block].T)  # I x B: a row for each image
            to_find = objects[:, label] @ of_image
            counted = np.cumsum(of_image[image], axis=0)
            for t in range(len(IOUS)):
                places, passed = np.flatnonzero(is_true[t]), np.flatnonzero(ignored[t])
                found, total = np.cumsum(of_image[image[places]], axis=0), counted[places]
                if len(passed):
                    left_out = np.cumsum(of_image[image[passed]], axis=0)
                    total -= np.append(left_out, np.zeros_like(left_out[:1]), axis=0)[
                        np.searchsorted(passed, places) - 1
                    ]
                result[block, t, label] = _area(found, total, to_find)
    return result


def mean_average_precision(ap: Floats) -> Floats:
    """The mean of B x T x C over thresholds and over classes with objects; B, NaN if no class has objects."""
    defined = ~np.isnan(ap)
    return _divided(np.where(defined, ap, 0).sum(axis=(1, 2)), defined.sum(axis=(1, 2)).astype(np.float64))


def score_counts(
    matches: Matches, label: int, iou: float = 0.5, weights: NDArray[np.generic] | None = None
) -> ScoreCounts:
    """Numbers of correct and wrong detections of a class at each score, for B resamplings of the images at once.

    Args:
        matches: matches of all images.
        label: the class.
        iou: one of ``IOUS``.
        weights: as in ``average_precision``.
    """
    weights, here, t = _weights(matches, weights), matches.of_class(label), int(np.argmin(np.abs(IOUS - iou)))
    image, score = matches.image[here], matches.score[here]
    last = np.flatnonzero(np.append(np.diff(score) != 0, True)) if len(score) else np.zeros(0, np.int64)
    true, false = (
        np.concatenate(
            [
                np.cumsum(weights[block][:, image] * kind[t, here], axis=1)[:, last]
                for block in _blocks(len(weights), len(image))
            ]
        )
        for kind in (matches.true, matches.false)
    )
    return ScoreCounts(score[last], true, false, weights @ matches.objects[:, label])


def _weights(matches: Matches, weights: NDArray[np.generic] | None) -> Floats:
    if weights is None:
        return np.ones((1, len(matches.image_ids)))
    if weights.ndim != 2 or weights.shape[1] != len(matches.image_ids):
        raise ValueError(f"weights {weights.shape} are not of {len(matches.image_ids)} images")
    return weights.astype(np.float64)


def _area(found: Floats, total: Floats, to_find: Floats) -> Floats:
    """The area under the precision-recall curve for B resamplings.

    Precision has its local maxima at correct detections, so only these are needed. Each of the 101 steps of recall uses
    the highest precision from the first detection on that reaches it.

    Args:
        found: K x B; number of objects detected up to each correct detection.
        total: K x B; number of detections up to there.
        to_find: B; number of objects.

    Returns:
        B; NaN without objects.
    """
    best = found / (total + np.spacing(1))
    best = np.maximum.accumulate(best[::-1], axis=0)[::-1]
    recall = found / np.where(to_find > 0, to_find, 1)
    nearest = (recall * (len(RECALLS) - 1) + 0.5).astype(np.intp)
    reached = nearest + (RECALLS[nearest] <= recall)  # number of steps up to there
    best[:-1] -= best[1:]  # summation by parts
    return np.where(to_find > 0, np.einsum("kb,kb->b", best, reached.astype(np.float64)) / len(RECALLS), np.nan)


def _blocks(count: int, width: int) -> Iterator[slice]:
    """Slices of ``count`` resamplings, such that intermediate arrays of ``width`` columns stay small."""
    step = max(1, BLOCK_VALUES // max(width, 1))
    yield from (slice(start, start + step) for start in range(0, count, step))


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
