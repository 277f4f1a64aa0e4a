"""Greedy suppression against torchvision's, and the model kind around it."""

from typing import Any

import pytest
import torch
from torchvision.ops import box_convert, nms

from mobiledet.errors import UserError
from mobiledet.mil.suppression import SuppressionModel, greedy_suppression


@pytest.fixture
def message(coremltools: Any) -> Any:
    model = coremltools.proto.Model_pb2.Model()
    suppression = model.nonMaximumSuppression
    suppression.confidenceInputFeatureName = "raw_confidence"
    suppression.coordinatesInputFeatureName = "raw_coordinates"
    suppression.iouThresholdInputFeatureName = "iouThreshold"
    suppression.confidenceThresholdInputFeatureName = "confidenceThreshold"
    suppression.confidenceOutputFeatureName = "confidence"
    suppression.coordinatesOutputFeatureName = "coordinates"
    suppression.iouThreshold, suppression.confidenceThreshold = 0.5, 0.3
    suppression.pickTop.perClass = True
    for name, columns in (("confidence", 3), ("coordinates", 4)):
        output = model.description.output.add()
        output.name = name
        ranges = output.type.multiArrayType.shapeRange.sizeRanges
        ranges.add(lowerBound=0, upperBound=-1)
        ranges.add(lowerBound=columns, upperBound=columns)
    return model


def some_boxes(count: int = 80) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    centre, size = torch.rand(2, count, 2, generator=generator)
    scores = torch.rand(count, 3, generator=generator)
    return {"raw_confidence": scores, "raw_coordinates": torch.cat([centre, 0.1 + 0.4 * size], 1)}


@pytest.mark.parametrize("threshold", [0.1, 0.45, 0.7])
def test_torchvision_keeps_the_same(threshold: float) -> None:
    scores, boxes = some_boxes(300).values()
    found = greedy_suppression(boxes, scores, threshold, 0.0, per_class=False)
    expected = nms(box_convert(boxes, "cxcywh", "xyxy"), scores.amax(1), threshold)
    assert found.tolist() == expected.tolist()
    assert 0 < len(found) < 300


def test_equal_boxes_and_no_boxes() -> None:
    boxes, scores = torch.tensor([[0.5, 0.5, 0.2, 0.2]] * 3), torch.tensor([[0.4], [0.9], [0.9]])
    assert greedy_suppression(boxes, scores, 0.5, 0.0, False).tolist() == [1]
    assert greedy_suppression(boxes, scores, 1.0, 0.0, False).tolist() == [1, 2, 0]  # 1.0 suppresses nothing
    assert greedy_suppression(boxes, scores, 0.5, 0.95, False).tolist() == []
    assert greedy_suppression(boxes[:0], scores[:0], 0.5, 0.0, True).tolist() == []


def test_boxes_without_area_stay() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.0, 0.0]] * 2)
    assert len(greedy_suppression(boxes, torch.tensor([[0.4], [0.9]]), 0.5, 0.0, False)) == 2


def test_model_suppresses_by_class(message: Any) -> None:
    features = some_boxes()
    results = SuppressionModel(message).run(features)
    best, label = features["raw_confidence"].max(1)
    corners = box_convert(features["raw_coordinates"], "cxcywh", "xyxy")
    kept = nms(corners + label[:, None] * 10.0, best, 0.5)
    kept = kept[best[kept] >= 0.3]
    assert torch.equal(results["confidence"], features["raw_confidence"][kept])
    assert torch.equal(results["coordinates"], features["raw_coordinates"][kept])


def test_thresholds_can_be_given(message: Any) -> None:
    model = SuppressionModel(message)
    features = some_boxes()
    fewest = model.run({**features, "iouThreshold": 0.05, "confidenceThreshold": 0.6})["confidence"]
    most = model.run({**features, "iouThreshold": 1.0, "confidenceThreshold": 0.0})["confidence"]
    assert 0 < len(fewest) < len(model.run(features)["confidence"]) < len(most) == 80
    assert fewest.amax(1).min() >= 0.6


def test_rows_are_limited_and_filled_up(message: Any) -> None:
    for output in message.description.output:
        output.type.multiArrayType.shapeRange.sizeRanges[0].lowerBound = 5
        output.type.multiArrayType.shapeRange.sizeRanges[0].upperBound = 7
    model = SuppressionModel(message)
    assert len(model.run(some_boxes())["confidence"]) == 7
    nothing = model.run({**some_boxes(), "confidenceThreshold": 2.0})
    assert nothing["confidence"].shape == (5, 3)
    assert not nothing["coordinates"].any()


def test_unknown_kind_is_told(message: Any) -> None:
    message.nonMaximumSuppression.ClearField("pickTop")
    with pytest.raises(UserError, match="does not say pickTop"):
        SuppressionModel(message)
