"""Compares the scores of two versions on the same images, and tests whether chance explains the difference."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.categories import match_names
from mobiledet.data.dataset import DetectionSet
from mobiledet.metrics.matches import Floats, Matches, match_detections
from mobiledet.metrics.resampled import average_precision, mean_average_precision
from mobiledet.versions.version import Version

RESAMPLES = 2000
LEVEL = 0.95
# largest fraction of swaps that lose as much; among 20 comparisons of equal versions, two or more false alarms then
# occur in 3 of 100 cases
CHANCE = 0.0125
MIN_IMAGES = 10  # fewer are too few for an interval
ROUNDING = 1e-9  # tolerance for rounding errors of sums


@dataclass(frozen=True)
class Change:
    """A metric of both versions.

    Attributes:
        old, new: AP, 0..1; NaN if there are no objects.
        low, high: confidence interval of new - old; None if fewer than ``MIN_IMAGES`` images have such objects.
    """

    old: float
    new: float
    low: float | None
    high: float | None

    @property
    def difference(self) -> float:
        """New minus old; NaN if there are no objects."""
        return self.new - self.old

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low is not None and self.high is not None and (self.low > ROUNDING or self.high < -ROUNDING)


@dataclass(frozen=True)
class ClassChange:
    """The change in the AP of a class.

    Attributes:
        label: name of the class.
        objects: number of ground-truth boxes.
        images: number of images with such a box.
        ap: AP of both versions.
    """

    label: str
    objects: int
    images: int
    ap: Change


@dataclass(frozen=True)
class ScoreChange:
    """The changes in all scores.

    Attributes:
        images: number of images.
        map, ap50: means over the classes.
        classes: classes with objects, in the order of the data set.
        chance: p-value of the permutation test: the fraction of draws in which versions that are swapped at random,
            image by image, differ as much in mAP in that direction; None if there are too few images.
    """

    images: int
    map: Change
    ap50: Change
    classes: tuple[ClassChange, ...]
    chance: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the change in mAP is significant, by both the bootstrap interval and the permutation test.

        The interval alone is a little too narrow for few images. The permutation test is exact for equal versions.
        """
        return self.map.is_clear and self.chance is not None and self.chance <= CHANCE


def match_version(version: Version, dataset: DetectionSet) -> Matches:
    """Match the detections of a version with the objects of a data set, in the classes of the data set.

    Raises:
        UserError: the data set has a class that the version does not know.
    """
    matches = match_detections(
        version.labels, dataset.truth(), version.found, match_names(version.labels, version.name, dataset)
    )
    return matches


def score_change(old: Matches, new: Matches) -> ScoreChange:
    """The differences, with intervals of a paired bootstrap: the same resampled images for both versions.

    Args:
        old, new: matches on the same images, with the same class names.
    """
    images = len(old.image_ids)
    rng = np.random.default_rng(0)
    weights = rng.multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.int16)
    order = [new.labels.index(label) for label in old.labels]
    once = [average_precision(old), np.take(average_precision(new), order, axis=2)]
    drawn = [average_precision(old, weights), np.take(average_precision(new, weights), order, axis=2)]
    holding = (old.objects > 0).sum(axis=0)

    def change(summary: Callable[[Floats], Floats], holding: int) -> Change:
        """``summary`` maps the APs, B x T x C, to B numbers."""
        before, after = (float(summary(ap)[0]) for ap in once)
        low, high = _interval(summary(drawn[1]) - summary(drawn[0])) if holding >= MIN_IMAGES else (None, None)
        return Change(before, after, low, high)

    held = int((old.objects.sum(axis=1) > 0).sum())
    whole = change(mean_average_precision, held)
    return ScoreChange(
        images=images,
        map=whole,
        ap50=change(lambda ap: mean_average_precision(ap[:, :1]), held),
        classes=tuple(
            ClassChange(
                label=old.labels[index],
                objects=int(old.objects[:, index].sum()),
                images=int(holding[index]),
                ap=change(partial(_of_class, index), int(holding[index])),
            )
            for index in np.flatnonzero(holding).tolist()
        ),
        chance=None if whole.low is None else _chance(old, new, abs(whole.difference), rng),
    )


def _chance(old: Matches, new: Matches, difference: float, rng: np.random.Generator) -> float:
    """Fraction of random swaps of the versions, image by image, whose mAP differs by at least ``difference``."""
    both, images = _side_by_side(old, new), len(old.image_ids)
    swapped = rng.random((RESAMPLES // 2, images)) < 0.5
    first, second = (
        mean_average_precision(average_precision(both, np.concatenate([chosen, ~chosen], axis=1)))
        for chosen in (swapped, ~swapped)
    )
    # each draw and its mirror image
    differences = np.concatenate([second - first, first - second])
    return float((1 + np.count_nonzero(differences >= difference - ROUNDING)) / (1 + len(differences)))


def _side_by_side(old: Matches, new: Matches) -> Matches:
    """Both versions as detections in twice as many images: first those of the old version, then of the new one."""
    images, objects = len(old.image_ids), len(old.object_label)
    names = np.array([old.labels.index(label) for label in new.labels])
    label = np.concatenate([old.label, names[new.label]])
    score = np.concatenate([old.score, new.score])
    order = np.lexsort((-score, label))
    return Matches(
        labels=old.labels,
        image_ids=tuple(range(2 * images)),
        image=np.concatenate([old.image, new.image + images])[order],
        label=label[order],
        score=score[order],
        row=np.concatenate([old.row, new.row])[order],
        object=np.concatenate([old.object, np.where(new.object < 0, -1, new.object + objects)], axis=1)[:, order],
        ignored=np.concatenate([old.ignored, new.ignored], axis=1)[:, order],
        object_image=np.concatenate([old.object_image, new.object_image + images]),
        object_label=np.concatenate([old.object_label, names[new.object_label]]),
        object_ignored=np.concatenate([old.object_ignored, new.object_ignored]),
        cut=old.cut + new.cut,
    )


def _of_class(label: int, ap: Floats) -> Floats:
    """The AP of one class, averaged over IoU thresholds."""
    mean: Floats = ap[:, :, label].mean(axis=1)
    return mean


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95 % of the differences; resamples without objects are ignored."""
    defined = differences[~np.isnan(differences)]
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high
