"""How the scores of two versions differ on the same images, and what of it chance explains."""

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
# of swaps that lose as much; twenty comparisons of equal versions then give two alarms or more in 3 of 100 cases
CHANCE = 0.0125
LEAST_IMAGES = 10  # fewer tell nothing of others
ROUNDING = 1e-9  # of sums


@dataclass(frozen=True)
class Change:
    """A number of both versions.

    Attributes:
        old, new: AP, 0..1; NaN where there is no object.
        low, high: interval of new - old; None where fewer than ``LEAST_IMAGES`` images hold such an object.
    """

    old: float
    new: float
    low: float | None
    high: float | None

    @property
    def difference(self) -> float:
        """New minus old; NaN where there is no object."""
        return self.new - self.old

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > ROUNDING or self.high < -ROUNDING)


@dataclass(frozen=True)
class ClassChange:
    """AP of a class.

    Attributes:
        label: its name.
        objects: boxes to find; images: that hold one.
        ap: of both versions.
    """

    label: str
    objects: int
    images: int
    ap: Change


@dataclass(frozen=True)
class ScoreChange:
    """What changed in the scores.

    Attributes:
        images: of both.
        map, ap50: mean over the classes.
        classes: those with objects, in the order of the data set.
        chance: how often versions that are swapped at random, image by image, differ so much in mAP in that direction;
            None where there are too few images.
    """

    images: int
    map: Change
    ap50: Change
    classes: tuple[ClassChange, ...]
    chance: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether chance does not explain the change of mAP: neither by other images, nor by which version saw which.

        The interval alone is a little narrow on few images. Swapping is exact where the versions are equally good.
        """
        return self.map.is_clear and self.chance is not None and self.chance <= CHANCE


def match_version(version: Version, dataset: DetectionSet) -> Matches:
    """Which detections of a version find which objects; classes are those of the data set.

    Raises:
        UserError: the data set has a class that the version does not know.
    """
    matches = match_detections(
        version.labels, dataset.truth(), version.found, match_names(version.labels, version.name, dataset)
    )
    return matches


def score_change(old: Matches, new: Matches) -> ScoreChange:
    """The differences, with intervals of a paired bootstrap: images are drawn with replacement, alike for both.

    Args:
        old, new: of the same images, with the same classes by name.
    """
    images = len(old.image_ids)
    rng = np.random.default_rng(0)
    weights = rng.multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.int16)
    order = [new.labels.index(label) for label in old.labels]
    once = [average_precision(old), np.take(average_precision(new), order, axis=2)]
    drawn = [average_precision(old, weights), np.take(average_precision(new, weights), order, axis=2)]
    holding = (old.objects > 0).sum(axis=0)

    def change(summary: Callable[[Floats], Floats], holding: int) -> Change:
        """``summary`` takes the APs, B x T x C, and gives B numbers."""
        before, after = (float(summary(ap)[0]) for ap in once)
        low, high = _interval(summary(drawn[1]) - summary(drawn[0])) if holding >= LEAST_IMAGES else (None, None)
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
    """How often mAP differs by at least so much in one direction when each image's versions are swapped at random."""
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
    """Both as the detections of twice as many images: first those of the old version, then those of the new one."""
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
    """The AP of one class, mean over IoUs."""
    mean: Floats = ap[:, :, label].mean(axis=1)
    return mean


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 %; resamples without an object say nothing."""
    defined = differences[~np.isnan(differences)]
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high
