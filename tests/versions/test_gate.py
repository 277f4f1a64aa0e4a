"""How often a loss of 0.01 mAP is found on 200 images, and how often two equal versions are taken for different."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobiledet.detections import Detections
from mobiledet.metrics.matches import Matches, match_detections
from mobiledet.metrics.resampled import average_precision, mean_average_precision
from mobiledet.truth import ImageId, Truth
from mobiledet.versions.config import CompareConfig
from mobiledet.versions.difference import _side_by_side, score_change
from mobiledet.versions.outcome import beyond_limits

RESAMPLES = 400  # a fifth of what the command takes, in a fifth of its time
IMAGES, LABELS = 200, ("a", "b", "c", "d", "e")
LIMITS = CompareConfig(Path("old"), Path("new"), max_drop=0.005)
Found = dict[ImageId, Detections]


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobiledet.versions.difference.RESAMPLES", RESAMPLES)


def _truth() -> dict[ImageId, Truth]:
    rng, truth = np.random.default_rng(0), {}
    for image in range(IMAGES):
        count = int(rng.integers(1, 8))
        boxes = np.column_stack([rng.uniform(0, 300, (count, 2)), np.exp(rng.uniform(2.5, 5, (count, 2)))])
        labels = rng.integers(0, len(LABELS), count)
        truth[image] = Truth(boxes, boxes[:, 2] * boxes[:, 3], labels, np.zeros(count, np.bool_))
    return truth


def _detector(truth: dict[ImageId, Truth], seed: int) -> Found:
    """Finds most objects, not quite where they are, and things that are none; about mAP 0.5."""
    rng, found = np.random.default_rng(seed), {}
    for image, objects in truth.items():
        seen = rng.random(len(objects)) < 0.85
        boxes = objects.boxes_xywh[seen] + rng.normal(0, 0.05, (seen.sum(), 4)) * np.tile(
            objects.boxes_xywh[seen, 2:], 2
        )
        others = np.column_stack([rng.uniform(0, 300, (8, 2)), np.exp(rng.uniform(2.5, 5, (8, 2)))])
        boxes = np.concatenate([boxes, others])
        boxes[:, 2:] = boxes[:, :2] + np.maximum(boxes[:, 2:], 1)
        scores = np.concatenate([rng.beta(4, 2, seen.sum()), rng.beta(1.5, 5, 8)])
        labels = np.concatenate([objects.labels[seen], rng.integers(0, len(LABELS), 8)])
        found[image] = Detections(boxes.astype(np.float32), scores.astype(np.float32), labels)
    return found


def _lost(found: Detections, amount: float, rng: np.random.Generator) -> Detections:
    kept = rng.random(len(found)) >= amount
    return Detections(found.boxes_xyxy[kept], found.scores[kept], found.labels[kept])


def _moved(found: Detections, amount: float, rng: np.random.Generator) -> Detections:
    sides = np.tile(found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2], 2)
    noise = rng.normal(0, amount, sides.shape).astype(np.float32)
    return Detections(found.boxes_xyxy + noise * sides, found.scores, found.labels)


def _rescored(found: Detections, amount: float, rng: np.random.Generator) -> Detections:
    noise = rng.normal(0, 2 * amount, len(found)).astype(np.float32)
    return Detections(found.boxes_xyxy, np.clip(found.scores + noise, 0, 1), found.labels)


def _mislabelled(found: Detections, amount: float, rng: np.random.Generator) -> Detections:
    labels = np.where(rng.random(len(found)) < amount, rng.integers(0, len(LABELS), len(found)), found.labels)
    return Detections(found.boxes_xyxy, found.scores, labels)


SPOILERS = (_lost, _moved, _rescored, _mislabelled)


def _match(truth: dict[ImageId, Truth], found: Found) -> Matches:
    return match_detections(LABELS, truth, found)


def _ap(matches: Matches) -> float:
    return float(mean_average_precision(average_precision(matches))[0])


def _spoilt(truth: dict, found: Found, spoil: Callable[..., Detections], seed: int) -> Matches:
    """Spoilt by 0.01 mAP: as much as it takes."""
    whole, low, high = _ap(_match(truth, found)), 0.0, 0.3
    for _ in range(9):
        amount = (low + high) / 2
        rng = np.random.default_rng(seed)
        matches = _match(truth, {image: spoil(boxes, amount, rng) for image, boxes in found.items()})
        drop = whole - _ap(matches)
        low, high = (amount, high) if drop < 0.01 else (low, amount)
    assert drop == pytest.approx(0.01, abs=0.0015)
    return matches


def _is_worse(old: Matches, new: Matches) -> bool:
    return bool(list(beyond_limits(LIMITS, score_change(old, new), None)))


def test_a_loss_of_one_point_is_found_in_eight_of_ten() -> None:
    truth = _truth()
    found = _detector(truth, 1)
    old = _match(truth, found)
    assert 0.4 < _ap(old) < 0.7
    caught = [_is_worse(old, _spoilt(truth, found, SPOILERS[seed % len(SPOILERS)], seed)) for seed in range(10)]
    assert sum(caught) >= 8


@pytest.mark.parametrize("kind", ["other detectors", "one detector with other boxes"])
def test_equal_versions_are_taken_for_worse_in_at_most_one_of_twenty(kind: str) -> None:
    truth = _truth()
    one = _detector(truth, 1)
    if kind == "other detectors":
        other = _detector(truth, 2)
    else:
        rng = np.random.default_rng(3)
        other = {image: _moved(boxes, 0.03, rng) for image, boxes in one.items()}
    alarms = 0
    for seed in range(20):
        swapped = np.random.default_rng(seed).random(IMAGES) < 0.5
        old = {image: (one if swapped[image] else other)[image] for image in truth}
        new = {image: (other if swapped[image] else one)[image] for image in truth}
        alarms += _is_worse(_match(truth, old), _match(truth, new))
    assert alarms <= 1


def test_side_by_side_are_both_versions() -> None:
    truth = _truth()
    old, found = _match(truth, _detector(truth, 1)), _detector(truth, 2)
    # the other version counts its classes in another order
    order = np.array([2, 0, 4, 1, 3])
    labels, place = tuple(LABELS[index] for index in order), np.argsort(order)
    renamed = {image: dataclasses.replace(boxes, labels=place[boxes.labels]) for image, boxes in found.items()}
    new = match_detections(labels, truth, renamed, order.tolist())
    both, ones, none = _side_by_side(old, new), np.ones((1, IMAGES)), np.zeros((1, IMAGES))
    for weights, alone in (((ones, none), old), ((none, ones), _match(truth, found))):
        ap = average_precision(both, np.concatenate(weights, axis=1))
        np.testing.assert_allclose(ap, average_precision(alone), rtol=0, atol=1e-12)
    assert score_change(old, new).map.new == pytest.approx(_ap(_match(truth, found)), abs=1e-12)
