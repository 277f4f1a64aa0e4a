"""Non-maximum suppression as a model kind, which ends pipelines for Vision."""

import sys
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mobiledet.errors import UserError


def greedy_suppression(
    boxes_cxcywh: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, per_class: bool
) -> Tensor:
    """Indices of the boxes that are kept, best first.

    The best box is kept, all that overlap it more than the threshold go, and so on with what is left.

    Args:
        boxes_cxcywh: N x 4, centre and size.
        scores: N x C; a box counts with its best class.
        iou_threshold: IoU of which a box is still kept.
        score_threshold: boxes below it are removed first.
        per_class: only boxes of the same best class suppress each other.
    """
    best, label = scores.max(dim=1)
    order = best.argsort(descending=True, stable=True)
    order = order[best[order] >= score_threshold]
    start, end = (boxes_cxcywh[order, :2] + sign * boxes_cxcywh[order, 2:] / 2 for sign in (-1, 1))
    area = (end - start).prod(dim=1)
    kept: list[int] = []
    alive = torch.ones(len(order), dtype=torch.bool)
    for place in range(len(order)):
        if not alive[place]:
            continue
        kept.append(place)
        overlap = (torch.minimum(end, end[place]) - torch.maximum(start, start[place])).clamp(min=0).prod(dim=1)
        suppressed = overlap > iou_threshold * (area + area[place] - overlap)
        if per_class:
            suppressed &= label[order] == label[order[place]]
        alive &= ~suppressed
    return order[torch.tensor(kept, dtype=torch.long)]


class SuppressionModel:
    """A NonMaximumSuppression model, as its protobuf message defines it.

    Args:
        message: the Model message.

    Attributes:
        inputs: names of the required inputs.
        outputs: names of the outputs.

    Raises:
        UserError: the interpreter does not support its method of suppression.
    """

    def __init__(self, message: Any) -> None:
        self._message = message.nonMaximumSuppression
        if self._message.WhichOneof("SuppressionMethod") != "pickTop":
            raise UserError("its non-maximum suppression does not say pickTop, the one that is known")
        self.inputs: tuple[str, ...] = (
            self._message.confidenceInputFeatureName,
            self._message.coordinatesInputFeatureName,
        )
        self.outputs: tuple[str, ...] = (
            self._message.confidenceOutputFeatureName,
            self._message.coordinatesOutputFeatureName,
        )
        bounds = [_row_bounds(output) for output in message.description.output]
        self._fewest, self._most = max(low for low, _ in bounds), min(high for _, high in bounds)

    def run(self, features: Mapping[str, Any], observe: object = None) -> dict[str, Tensor]:
        """Kept rows of N x C confidences and N x 4 coordinates (centre, size), best first.

        Args:
            features: inputs by name; the thresholds are optional.
            observe: ignored, because there are no internal results.
        """
        message = self._message
        confidence, coordinates = (features[name] for name in self.inputs)
        kept = greedy_suppression(
            coordinates,
            confidence,
            float(features.get(message.iouThresholdInputFeatureName, message.iouThreshold)),
            float(features.get(message.confidenceThresholdInputFeatureName, message.confidenceThreshold)),
            message.pickTop.perClass,
        )
        rows = [values[kept[: self._most]] for values in (confidence, coordinates)]
        results = [F.pad(values, (0, 0, 0, max(self._fewest - len(values), 0))) for values in rows]
        return dict(zip(self.outputs, results, strict=True))


def _row_bounds(output: Any) -> tuple[int, int]:
    """Minimum number of rows of a feature, which is padded with zeros, and maximum number."""
    array = output.type.multiArrayType
    if array.WhichOneof("ShapeFlexibility") == "shapeRange":
        bounds = array.shapeRange.sizeRanges[0]
        return bounds.lowerBound, bounds.upperBound if bounds.upperBound >= 0 else sys.maxsize
    return (array.shape[0], array.shape[0]) if len(array.shape) == 2 else (0, sys.maxsize)
