"""Score thresholds chosen by a rule, with prediction intervals of precision and recall on other images.

A threshold is fitted to the images that it was chosen on, so precision and recall are usually lower on other images,
and vary there. The intervals take both into account by a bootstrap of pairs: the threshold is chosen on one resampling
of the images, and precision and recall are computed on another. Their differences between the two estimate the
differences between these images and as many others of the same kind. A bootstrap of few objects is overconfident (if
all detections are correct, they are in every resampling), so the interval is widened to include the beta-binomial
prediction interval of the counts with Jeffreys' prior.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mobiledet.metrics.matches import IOUS, Floats, Matches
from mobiledet.metrics.resampled import score_counts
from mobiledet.records import Count, Share

CONFIDENCE = 0.98
RESAMPLINGS = 400
PAIRS = 8  # number of other resamplings that each is paired with
MAX_CANDIDATES = 256  # number of thresholds that a resampling chooses from
SLACK = 1e-9  # for rounding, so that a precision of 9 in 10 is at least 0.9

RuleKind = Literal["f1", "precision", "recall"]


@dataclass(frozen=True)
class Rule:
    """The criterion by which a threshold is chosen.

    Attributes:
        kind: ``f1``: the highest F1. ``precision``: the highest recall with a precision of at least ``level``.
            ``recall``: the highest threshold with a recall of at least ``level``.
        level: 0 for ``f1``.
    """

    kind: RuleKind = "f1"
    level: Share = 0.0

    def __str__(self) -> str:
        return "best F1" if self.kind == "f1" else f"{self.kind} of at least {self.level:g}"


@dataclass(frozen=True)
class Promise:
    """Precision or recall on the present images, and its 98 % prediction interval for as many other images."""

    value: Share
    low: Share
    high: Share

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError("a promise lies outside of its interval")


@dataclass(frozen=True)
class ChosenThreshold:
    """The threshold of a class, or of all classes together.

    Attributes:
        objects: number of objects.
        found, wrong: number of correct and of wrong detections at or above the threshold.
        threshold: None if none can be chosen: there are no objects or no correct detections, or no score satisfies the
            rule.
        low, high: interval of the threshold over resamplings of the images.
        precision, recall: values at the threshold, with prediction intervals.
    """

    objects: Count
    found: Count = 0
    wrong: Count = 0
    threshold: Share | None = None
    low: Share = 0.0
    high: Share = 0.0
    precision: Promise | None = None
    recall: Promise | None = None

    @property
    def f1(self) -> float:
        """F1 at the threshold; 0 without one."""
        return 2 * self.found / max(self.found + self.wrong + self.objects, 1) if self.threshold is not None else 0.0


@dataclass(frozen=True)
class ThresholdTable:
    """The thresholds of all classes for one rule.

    Attributes:
        rule: the criterion.
        overall: the threshold if all classes are treated as one.
        classes: the threshold of each class, in the order of the labels.
    """

    rule: Rule
    overall: ChosenThreshold
    classes: tuple[ChosenThreshold, ...]

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The threshold of each class: its own, else the overall one, else 1, which hides nearly all detections."""
        rest = 1.0 if self.overall.threshold is None else self.overall.threshold
        return tuple(rest if chosen.threshold is None else chosen.threshold for chosen in self.classes)

    @property
    def borrowed(self) -> tuple[int, ...]:
        """The classes without a threshold of their own."""
        return tuple(label for label, chosen in enumerate(self.classes) if chosen.threshold is None)


def choose_thresholds(
    matches: Matches, rule: Rule, iou: float = 0.5, resamplings: int = RESAMPLINGS, seed: int = 0
) -> ThresholdTable:
    """Choose a threshold for every class and one for all classes together.

    Args:
        matches: matches of all images.
        rule: the criterion.
        iou: lowest IoU at which an object counts as detected, one of ``matches.IOUS``.
        resamplings: number of resamplings of the images, for the intervals; 1 is enough for the thresholds alone.
        seed: random seed of the resamplings.
    """
    images = len(matches.image_ids)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(images, np.full(images, 1 / images), resamplings).astype(np.float32)
    together = _as_one_class(matches)
    return ThresholdTable(
        rule,
        _choose(together, 0, rule, iou, weights, rng),
        tuple(_choose(matches, label, rule, iou, weights, rng) for label in range(len(matches.labels))),
    )


def _as_one_class(matches: Matches) -> Matches:
    order = np.argsort(-matches.score, kind="stable")
    names = ("image", "score", "row")
    return dataclasses.replace(
        matches,
        labels=("all",),
        label=np.zeros(len(order), np.int64),
        object_label=np.zeros_like(matches.object_label),
        object=matches.object[:, order],
        ignored=matches.ignored[:, order],
        **{name: getattr(matches, name)[order] for name in names},
    )


def _choose(
    matches: Matches, label: int, rule: Rule, iou: float, weights: NDArray[np.float32], rng: np.random.Generator
) -> ChosenThreshold:
    counts = score_counts(matches, label, iou)
    objects = int(counts.objects[0])
    # a threshold just above a correct detection would lose it and gain nothing
    places = np.flatnonzero(np.diff(counts.true[0], prepend=0))
    true, false = counts.true[:, places], counts.false[:, places]
    (chosen,) = _places(true, false, counts.objects, rule)
    if chosen < 0:
        return ChosenThreshold(objects)
    place = int(places[chosen])
    lower = counts.score[place + 1] if place + 1 < len(counts.score) else 0.0
    found, wrong = int(counts.true[0, place]), int(counts.false[0, place])

    candidates = np.unique(np.append(np.linspace(0, len(places) - 1, MAX_CANDIDATES).astype(np.int64), chosen))
    scores = counts.score[places[candidates]]
    resampled = _resampled_counts(matches, label, iou, scores, weights)
    picked = _places(*resampled, rule)
    own, other = _paired_shares(*resampled, picked)
    kept = picked[picked >= 0]
    half = (1 - CONFIDENCE) / 2
    low, high = np.quantile(scores[kept], [half, 1 - half]) if len(kept) else (0.0, 1.0)
    threshold = _short_number_between(float(lower), float(counts.score[place]))
    return ChosenThreshold(
        objects=objects,
        found=found,
        wrong=wrong,
        threshold=threshold,
        low=min(float(low), threshold),
        high=max(float(high), threshold),
        precision=_promise(found, found + wrong, own[0], other[0], rng),
        recall=_promise(found, objects, own[1], other[1], rng),
    )


def _places(true: Floats, false: Floats, objects: Floats, rule: Rule) -> NDArray[np.int64]:
    """The index of the threshold that the rule chooses among K descending ones, for each of B; -1 for none."""
    if not true.shape[1]:
        return np.full(len(true), -1)
    if rule.kind == "f1":
        score = 2 * true / np.maximum(true + false + objects[:, None], 1)
        return np.where(score.max(axis=1) > 0, score.argmax(axis=1), -1)
    if rule.kind == "precision":
        kept = (true > 0) & (true >= (rule.level - SLACK) * (true + false))
        last = true.shape[1] - 1 - kept[:, ::-1].argmax(axis=1)
        return np.where(kept.any(axis=1), last, -1)
    kept = (true > 0) & (true >= (rule.level - SLACK) * objects[:, None])
    return np.where(kept.any(axis=1), kept.argmax(axis=1), -1)


def _resampled_counts(
    matches: Matches, label: int, iou: float, scores: Floats, weights: NDArray[np.float32]
) -> tuple[Floats, Floats, Floats]:
    """Numbers of correct and wrong detections at K descending scores, B x K each, and of objects, B, for B
    resamplings."""
    here, t = matches.of_class(label), int(np.argmin(np.abs(IOUS - iou)))
    bins = np.searchsorted(-scores, -matches.score[here])  # index of the highest threshold that a detection passes
    passing = bins < len(scores)
    images, rows = np.unique(matches.image[here][passing], return_inverse=True)
    of_images = weights[:, images]
    true, false = (
        np.cumsum(
            of_images
            @ np.bincount(
                (rows * len(scores) + bins[passing])[kind[t, here][passing]], minlength=len(images) * len(scores)
            )
            .reshape(len(images), len(scores))
            .astype(np.float32),
            axis=1,
            dtype=np.float64,
        )
        for kind in (matches.true, matches.false)
    )
    return true, false, weights.astype(np.float64) @ matches.objects[:, label]


def _paired_shares(
    true: Floats, false: Floats, objects: Floats, picked: NDArray[np.int64]
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Precision and recall at the chosen thresholds, on the resampling where each was chosen and on another one; NaN
    for a pair without detections or objects."""
    count = len(true)
    chooser = np.tile(np.flatnonzero(picked >= 0), min(PAIRS, count - 1))
    step = np.repeat(np.arange(1, min(PAIRS, count - 1) + 1), np.count_nonzero(picked >= 0))
    other, place = (chooser + step) % count, picked[chooser]

    def shares(row: NDArray[np.int64]) -> tuple[Floats, Floats]:
        found = true[row, place]
        with np.errstate(invalid="ignore", divide="ignore"):
            return found / (found + false[row, place]), found / objects[row]

    return shares(chooser), shares(other)


def _promise(count: int, total: int, own: Floats, other: Floats, rng: np.random.Generator) -> Promise:
    """The fraction ``count / total`` with its prediction interval."""
    half = (1 - CONFIDENCE) / 2
    value = count / total
    drawn = rng.binomial(total, rng.beta(count + 0.5, total - count + 0.5, 2000)) / total
    lows, highs = ([edge] for edge in np.quantile(drawn, [half, 1 - half]).tolist())
    apart = np.arcsin(np.sqrt(other)) - np.arcsin(np.sqrt(own))  # a scale on which fractions have the same variance
    apart = apart[np.isfinite(apart)]
    if len(apart):
        edges = np.arcsin(np.sqrt(value)) + np.quantile(apart, [half, 1 - half])
        low, high = (np.sin(np.clip(edges, 0, np.pi / 2)) ** 2).tolist()
        lows.append(low)
        highs.append(high)
    return Promise(value, max(min(*lows, value), 0.0), min(max(*highs, value), 1.0))


def _short_number_between(low: float, high: float) -> float:
    """The number with the fewest decimals in ``low`` < x <= ``high``, near its middle; also if rounded to float32."""
    for digits in range(1, 9):
        number = round((low + high) / 2, digits)
        if low < number <= high and low < float(np.float32(number)) <= high:
            return number
    return high
