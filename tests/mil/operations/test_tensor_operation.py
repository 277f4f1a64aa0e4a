"""What coremltools' value inference leaves out, or gets wrong: interleaved and exclusive forms, ties, suppression."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.ops import box_convert, nms

from mobiledet.errors import UserError

Run = Callable[..., list[np.ndarray]]

X = np.arange(12, dtype=np.float32).reshape(2, 3, 2)


def test_concat_interleaved(run: Run, mil: Any) -> None:
    (found,) = run(lambda x, y: mil.mb.concat(values=[x, y], axis=1, interleave=True), X, -X)
    expected = np.empty((2, 6, 2), np.float32)
    expected[:, 0::2], expected[:, 1::2] = X, -X
    np.testing.assert_array_equal(found, expected)


def test_cumsum_without_itself(run: Run, mil: Any) -> None:
    forward, backward = run(
        lambda x: [
            mil.mb.cumsum(x=x, axis=1, exclusive=True),
            mil.mb.cumsum(x=x, axis=1, exclusive=True, reverse=True),
        ],
        X,
    )
    np.testing.assert_array_equal(forward, np.cumsum(X, 1) - X)
    np.testing.assert_array_equal(backward, X.sum(1, keepdims=True) - np.cumsum(X, 1))


def test_one_hot(run: Run, mil: Any) -> None:
    indices = np.array([[3, 0], [1, 1]], np.int32)
    (found,) = run(
        lambda x: mil.mb.one_hot(indices=x, one_hot_vector_size=4, axis=1, on_value=2.0, off_value=-1.0), indices
    )
    np.testing.assert_array_equal(found, np.where(np.eye(4)[indices].transpose(0, 2, 1), 2, -1))


def test_of_equal_values_the_first_are_taken(run: Run, mil: Any) -> None:
    values = np.array([[1, 2, 2, 0, 2, 1]], np.float32)
    (order, best, index) = run(lambda x: [mil.mb.argsort(x=x), *mil.mb.topk(x=x, k=2)], values)
    assert order.tolist() == [[1, 2, 4, 0, 5, 3]]
    assert best.tolist() == [[2, 2]]
    assert index.tolist() == [[1, 2]]


def test_short_indices_wrap(run: Run, mil: Any) -> None:
    """An index of 16 bits beyond 65535 points elsewhere on a device, so it must here."""
    values = np.zeros((1, 70000), np.float32)
    values[0, 69999] = 1
    long, short = run(
        lambda x: [
            mil.mb.topk(x=x, k=1)[1],
            mil.mb.cast(x=mil.mb.topk(x=x, k=1, output_indices_dtype="uint16")[1], dtype="int32"),
        ],
        values,
    )
    assert (long.item(), short.item()) == (69999, 69999 - 65536)


def test_range_and_fill(run: Run, mil: Any) -> None:
    end = np.array([7], np.int32)
    found, filled, like = run(
        lambda x: [
            mil.mb.range_1d(start=1, end=mil.mb.squeeze(x=x, axes=[0]), step=2),
            mil.mb.fill(shape=mil.mb.concat(values=[x, [2]], axis=0), value=0.5),
            mil.mb.fill_like(ref_tensor=x, value=3),
        ],
        end,
    )
    assert found.tolist() == [1, 3, 5]
    np.testing.assert_array_equal(filled, np.full((7, 2), 0.5))
    assert like.tolist() == [3]


@pytest.mark.parametrize("per_class", [False, True])
def test_non_maximum_suppression(run: Run, mil: Any, per_class: bool) -> None:
    rng = np.random.default_rng(1)
    boxes = np.concatenate([rng.uniform(0, 10, (1, 60, 2)), rng.uniform(1, 6, (1, 60, 2))], 2).astype(np.float32)
    scores = rng.uniform(size=(1, 60, 3)).astype(np.float32)
    kept_boxes, kept_scores, indices, count = run(
        lambda b, s: mil.mb.non_maximum_suppression(
            boxes=b, scores=s, iou_threshold=0.4, score_threshold=0.5, max_boxes=50, per_class_suppression=per_class
        ),
        boxes,
        scores,
        target="iOS16",
    )
    best, label = torch.from_numpy(scores[0]).max(1)
    xyxy = box_convert(torch.from_numpy(boxes[0]), "cxcywh", "xyxy")
    expected = nms(xyxy + (label[:, None] * 100.0 if per_class else 0), best, 0.4)
    expected = expected[best[expected] >= 0.5].numpy()
    assert 0 < count.item() == len(expected) < 50
    assert indices[0].tolist() == [*expected, *[-1] * (50 - len(expected))]
    np.testing.assert_array_equal(kept_boxes[0, : len(expected)], boxes[0, expected])
    np.testing.assert_array_equal(kept_scores[0, : len(expected)], scores[0, expected])
    assert not kept_boxes[0, len(expected) :].any()


def test_suppression_of_nothing(run: Run, mil: Any) -> None:
    boxes, scores = np.ones((1, 3, 4), np.float32), np.zeros((1, 3, 2), np.float32)
    *_, indices, count = run(
        lambda b, s: mil.mb.non_maximum_suppression(
            boxes=b, scores=s, iou_threshold=0.5, score_threshold=0.1, max_boxes=2
        ),
        boxes,
        scores,
        target="iOS16",
    )
    assert (indices.tolist(), count.tolist()) == ([[-1, -1]], [0])


def test_index_out_of_bounds_is_told(run: Run, mil: Any) -> None:
    for index in (-1, 3):
        with pytest.raises(
            UserError, match=r"operation gather \(.*\) cannot be run: an index .* is not among 3 entries"
        ):
            run(lambda x, i: mil.mb.gather(x=x, indices=i, axis=1), X, np.array([index], np.int32))


def test_negative_index_up_to_ios16(run: Run, mil: Any) -> None:
    index = np.array([-1, 0], np.int32)
    (found,) = run(lambda x, i: mil.mb.gather(x=x, indices=i, axis=1), X, index, target="iOS16")
    np.testing.assert_array_equal(found, X[:, [-1, 0]])
