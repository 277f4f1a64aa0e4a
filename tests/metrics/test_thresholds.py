"""Thresholds by exhaustive search, and their promises on pictures that were not looked at."""

import numpy as np
import pytest

from mobiledet.detections import Detections
from mobiledet.metrics.matches import Matches, match_detections
from mobiledet.metrics.thresholds import Rule, choose_thresholds
from mobiledet.truth import ImageId, Truth

LABELS = ("often", "seldom", "hard", "never")
RULES = (Rule(), Rule("precision", 0.8), Rule("recall", 0.4))
Data = tuple[dict[ImageId, Truth], dict[ImageId, Detections]]


def detector(images: int, seed: int) -> Data:
    """Objects on a grid, so that what finds what is known, and a detector whose scores tell right from wrong in part.

    Images differ: in some nearly all is found, in some nearly nothing.
    """
    rng = np.random.default_rng(seed)
    truth: dict[ImageId, Truth] = {}
    found: dict[ImageId, Detections] = {}
    for image in range(images):
        ease = rng.beta(4, 1.5)
        labels = rng.choice(3, size=rng.poisson(6), p=[0.7, 0.1, 0.2])
        places = rng.permutation(100)[: len(labels) + 12]
        boxes = np.column_stack([places % 10, places // 10]) * 40.0
        boxes = np.concatenate([boxes, boxes + 30], axis=1)
        own = boxes[: len(labels)]
        truth[image] = Truth(
            np.column_stack([own[:, :2], np.full((len(own), 2), 30.0)]),
            np.full(len(own), 900.0),
            labels,
            rng.random(len(own)) < 0.03,
        )
        seen = rng.random(len(labels)) < ease * np.array([0.95, 0.9, 0.6])[labels]
        stray = rng.integers(len(labels), len(boxes), rng.poisson(5 * (1.3 - ease)))
        kept = np.concatenate([np.flatnonzero(seen), stray])
        kinds = np.concatenate([labels[seen], rng.choice(4, size=len(stray), p=[0.5, 0.2, 0.2, 0.1])])
        scores = np.concatenate([rng.beta(3, 1.5, seen.sum()), rng.beta(1.2, 3, len(stray))]).astype(np.float32)
        order = np.argsort(-scores)
        found[image] = Detections(boxes[kept].astype(np.float32)[order], scores[order], kinds[order])
    return truth, found


def part(data: Data, images: list[ImageId]) -> Matches:
    truth, found = data
    return match_detections(LABELS, {i: truth[i] for i in images}, {i: found[i] for i in images})


def counted(matches: Matches, label: int, threshold: float, iou: int = 0) -> tuple[int, int, int]:
    """Found, wrong, and objects, of a class, or of all classes where it is -1; one by one."""
    own = [n for n in range(len(matches)) if label in (-1, matches.label[n]) and matches.score[n] >= threshold]
    own = [n for n in own if not matches.ignored[iou, n]]
    found = sum(matches.object[iou, n] >= 0 for n in own)
    objects = sum(
        label in (-1, kind) and not ignored
        for kind, ignored in zip(matches.object_label, matches.object_ignored, strict=True)
    )
    return found, len(own) - found, objects


@pytest.mark.parametrize("iou", [0.5, 0.75])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_no_score_keeps_to_the_rule_better(rule: Rule, iou: float) -> None:
    matches = part(detector(25, seed=1), list(range(25)))
    table = choose_thresholds(matches, rule, iou, resamplings=20)
    t = round((iou - 0.5) / 0.05)
    for label, chosen in [(-1, table.overall), *enumerate(table.classes)]:
        scores = sorted({s for s, kind in zip(matches.score, matches.label, strict=True) if label in (-1, kind)})
        options = {score: counted(matches, label, score, t) for score in scores}
        if rule.kind == "f1":
            best = max((2 * f / (f + w + o) for f, w, o in options.values() if f), default=None)
        elif rule.kind == "precision":
            best = max((f for f, w, _ in options.values() if f and f / (f + w) >= rule.level), default=None)
        else:
            best = max((s for s, (f, _, o) in options.items() if f and f / o >= rule.level), default=None)
        if best is None:
            assert chosen.threshold is None
            continue
        assert chosen.threshold is not None
        found, wrong, objects = counted(matches, label, chosen.threshold, t)
        assert (chosen.found, chosen.wrong, chosen.objects) == (found, wrong, objects)
        assert chosen.precision is not None
        assert chosen.recall is not None
        assert chosen.precision.value == pytest.approx(found / (found + wrong))
        assert chosen.recall.value == pytest.approx(found / objects)
        if rule.kind == "f1":
            assert chosen.f1 == pytest.approx(best)
        elif rule.kind == "precision":
            assert found == best
        else:
            assert max(s for s in scores if s <= best) >= chosen.threshold > max([s for s in scores if s < best])
        assert chosen.low <= chosen.threshold <= chosen.high


def test_classes_without_a_threshold_take_that_of_all() -> None:
    matches = part(detector(25, seed=1), list(range(25)))
    table = choose_thresholds(matches, Rule(), resamplings=20)
    assert table.borrowed == (3,)
    assert table.thresholds[3] == table.overall.threshold
    assert table.thresholds[0] == table.classes[0].threshold
    nothing = choose_thresholds(part(({0: detector(1, 1)[0][0]}, {0: Detections.empty()}), [0]), Rule(), resamplings=20)
    assert nothing.borrowed == (0, 1, 2, 3)
    assert nothing.thresholds == (1, 1, 1, 1)
    strict = choose_thresholds(matches, Rule("precision", 1.0), resamplings=20)
    assert all(c.wrong == 0 for c in strict.classes)


def test_a_threshold_is_short_and_lies_between_the_scores() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], np.float32)
    truth = Truth(
        np.array([[0.0, 0, 10, 10], [20, 0, 10, 10]]), np.full(2, 100.0), np.zeros(2, np.int64), np.zeros(2, bool)
    )
    for scores, expected in (((0.9, 0.8, 0.2), 0.5), ((0.9, 0.43, 0.41), 0.42), ((0.9, 0.7, 0.7), 0.35)):
        found = Detections(boxes, np.array(scores, np.float32), np.zeros(3, np.int64))
        table = choose_thresholds(match_detections(("a",), {1: truth}, {1: found}), Rule(), resamplings=5)
        assert table.thresholds == pytest.approx([expected], abs=0.1)
        kept = found.scores >= np.float32(table.thresholds[0])
        assert (kept == (found.scores >= table.thresholds[0])).all()
        assert len(str(table.thresholds[0])) <= 4


def kept_promises(data: Data, rule: Rule, splits: int, seed: int, resamplings: int) -> dict[str, float]:
    """Share of splits in which what was promised on one half is so on the other, by class and number."""
    rng = np.random.default_rng(seed)
    images = list(data[0])
    kept: dict[str, list[bool]] = {}
    for split in range(splits):
        shuffled = [images[i] for i in rng.permutation(len(images))]
        half = len(images) // 2
        table = choose_thresholds(part(data, shuffled[:half]), rule, resamplings=resamplings, seed=split)
        rest = part(data, shuffled[half:])
        is_kept = ~rest.ignored[0]
        for label, chosen in [(-1, table.overall), *enumerate(table.classes)]:
            if chosen.threshold is None or chosen.precision is None or chosen.recall is None:
                continue
            own = is_kept & (rest.score >= chosen.threshold) & ((rest.label == label) | (label < 0))
            found = np.count_nonzero(rest.object[0, own] >= 0)
            objects = np.count_nonzero(~rest.object_ignored & ((rest.object_label == label) | (label < 0)))
            for name, promise, total in (("p", chosen.precision, own.sum()), ("r", chosen.recall, objects)):
                if total:
                    share = found / total
                    inside = promise.low - 1e-12 <= share <= promise.high + 1e-12
                    kept.setdefault(f"{name} {label}", []).append(inside)
    return {name: float(np.mean(inside)) for name, inside in kept.items() if len(inside) >= splits / 2}


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_promises_hold_on_the_other_half(rule: Rule) -> None:
    shares = kept_promises(detector(160, seed=3), rule, splits=100, seed=4, resamplings=200)
    assert {"p -1", "r -1", "p 0", "r 0", "p 1", "r 1"} <= shares.keys()
    assert min(shares.values()) >= 0.9, shares


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_promises_are_not_empty(rule: Rule) -> None:
    """An interval of 0 to 1 would hold always: four times the images must halve it."""

    def widths(images: int) -> np.ndarray:
        table = choose_thresholds(part(detector(images, seed=6), list(range(images))), rule, resamplings=200)
        promises = [table.overall.precision, table.overall.recall, table.classes[0].precision]
        return np.array([p.high - p.low for p in promises if p])

    assert (widths(160) < 0.35).all()
    assert 0.3 < (widths(640) / widths(160)).mean() < 0.7
