"""COCO's average precision, and counts by score, of any resamplings of the images, from one matching.

COCOeval asks anew for every list of images. Which detection finds which object depends on its own image alone, so a
bootstrap over images needs one matching and then counts: an image that is drawn twice counts twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.metrics.matches import IOUS, Floats, Matches

RECALLS = np.linspace(0, 1, 101)
BLOCK_VALUES = 1 << 22  # of an intermediate array


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """What a class has at each score that serves as a threshold, for B resamplings.

    Attributes:
        score: S different scores, falling; a detection counts whose score is at least that.
        true, false: B x S; detections that find an object, and that find none.
        objects: B; objects to find.
    """

    score: Floats
    true: Floats
    false: Floats
    objects: Floats

    @property
    def precision(self) -> Floats:
        """B x S; NaN where nothing counts."""
        return _divided(self.true, self.true + self.false)

    @property
    def recall(self) -> Floats:
        """B x S; NaN without objects."""
        return _divided(self.true, np.broadcast_to(self.objects[:, None], self.true.shape))


def average_precision(matches: Matches, weights: NDArray[np.generic] | None = None) -> Floats:
    """COCO's AP, for B resamplings of the images at once.

    Of several images the detections of equal score count one after the other, in one image all at once: only there can
    a weight of two differ from COCOeval over an image that is there twice.

    Args:
        matches: of all images.
        weights: B x I; how often each image counts. None: once.

    Returns:
        B x T x C; NaN where a class has no object.
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
    """The mean of B x T x C over thresholds and classes that have objects; B, NaN where none has."""
    defined = ~np.isnan(ap)
    return _divided(np.where(defined, ap, 0).sum(axis=(1, 2)), defined.sum(axis=(1, 2)).astype(np.float64))


def score_counts(
    matches: Matches, label: int, iou: float = 0.5, weights: NDArray[np.generic] | None = None
) -> ScoreCounts:
    """True and false detections of a class at each score, for B resamplings of the images at once.

    Args:
        matches: of all images.
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
    """Area below the curves, of B resamplings.

    Precision is highest where a detection is true, so the curve is known from those places alone. Each of the 101
    steps of recall takes the best precision from the first place on that reaches it.

    Args:
        found: K x B; objects found up to each true detection.
        total: K x B; detections up to there.
        to_find: B; objects.

    Returns:
        B; NaN without objects.
    """
    best = found / (total + np.spacing(1))
    best = np.maximum.accumulate(best[::-1], axis=0)[::-1]
    recall = found / np.where(to_find > 0, to_find, 1)
    nearest = (recall * (len(RECALLS) - 1) + 0.5).astype(np.intp)
    reached = nearest + (RECALLS[nearest] <= recall)  # steps up to there
    best[:-1] -= best[1:]  # by parts
    return np.where(to_find > 0, np.einsum("kb,kb->b", best, reached.astype(np.float64)) / len(RECALLS), np.nan)


def _blocks(count: int, width: int) -> Iterator[slice]:
    """Parts of so many resamplings whose intermediate arrays fit into the memory."""
    step = max(1, BLOCK_VALUES // max(width, 1))
    yield from (slice(start, start + step) for start in range(0, count, step))


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
