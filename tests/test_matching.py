"""Pairs of detections; what the comparison forgives and refuses is in the tests of the two gates."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from mobiledet.detections import Detections
from mobiledet.matching import match, pairwise_iou


def random_detections(rng: np.random.Generator, count: int) -> Detections:
    corners = rng.random((count, 2))
    boxes = np.column_stack([corners, corners + rng.uniform(0.05, 0.4, (count, 2))]).astype(np.float32)
    scores = -np.sort(-rng.random(count)).astype(np.float32)
    return Detections(boxes, scores, rng.integers(0, 3, count))


def test_match_finds_itself_in_any_order_with_the_iou_of_torchvision() -> None:
    rng = np.random.default_rng(0)
    expected = random_detections(rng, 30)
    order = rng.permutation(30)
    moved = (expected.boxes_xyxy + rng.uniform(-0.004, 0.004, (30, 4)).astype(np.float32))[order]
    found = Detections(moved, expected.scores[order], expected.labels[order])
    pairs, all_iou = match(expected, found)
    assert len(pairs) == 30
    np.testing.assert_array_equal(order[pairs["found"]], pairs["expected"])
    iou = box_iou(torch.from_numpy(expected.boxes_xyxy), torch.from_numpy(moved)).numpy()
    np.testing.assert_allclose(pairs["iou"], iou[pairs["expected"], pairs["found"]], atol=1e-6)
    same_class = expected.labels[:, None] == found.labels[None]
    np.testing.assert_allclose(all_iou, np.where(same_class, iou, 0), atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_match_is_one_to_one(count: int) -> None:
    box = np.tile(np.array([[0, 0, 0.5, 0.5]], np.float32), (count, 1))
    twins = Detections(box, np.full(count, 0.8, np.float32), np.zeros(count, np.int64))
    one = Detections(*(values[:1] for values in (box, twins.scores, twins.labels)))
    assert len(match(twins, one)[0]) == min(count, 1)
    assert len(match(one, twins)[0]) == min(count, 1)


def test_twins_are_told_apart_by_their_scores() -> None:
    box = np.tile(np.array([[0, 0, 0.5, 0.5]], np.float32), (2, 1))
    expected = Detections(box, np.array([0.9, 0.3], np.float32), np.zeros(2, np.int64))
    found = Detections(box, np.array([0.31, 0.88], np.float32), np.zeros(2, np.int64))
    pairs, _ = match(expected, found)
    assert dict(zip(pairs["expected"].tolist(), pairs["found"].tolist(), strict=True)) == {0: 1, 1: 0}


def test_boxes_without_area_overlap_nothing() -> None:
    empty = np.zeros((1, 4), np.float32)
    assert pairwise_iou(empty, empty).tolist() == [[0]]
