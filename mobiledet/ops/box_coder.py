"""Boxes as offsets from anchors: the coding of Faster R-CNN (arXiv:1506.01497, section 3.1.2) with SSD's weights."""

import math

import torch
from torch import Tensor

from mobiledet.ops.boxes import to_cxcywh, to_xyxy

SSD_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of x, y, width, height (arXiv:1512.02325, the authors' variances 0.1 and 0.2)
MAX_LOG_SCALE = math.log(1000.0 / 16)  # a box at most 62.5 times as large as its anchor


def encode(boxes_xyxy: Tensor, anchors_xyxy: Tensor, weights: tuple[float, ...] = SSD_WEIGHTS) -> Tensor:
    """The offsets that ``decode`` turns back into ``boxes_xyxy``.

    Args:
        boxes_xyxy: ... x A x 4 with positive sides.
        anchors_xyxy: A x 4 (or ... x A x 4) in the same unit.

    Returns:
        ... x A x 4: (dx, dy, dw, dh), weighted.
    """
    boxes, anchors = to_cxcywh(boxes_xyxy), to_cxcywh(anchors_xyxy)
    shift = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    scale = torch.log(boxes[..., 2:] / anchors[..., 2:])
    return torch.cat((shift, scale), dim=-1) * boxes.new_tensor(weights)


def decode(deltas: Tensor, anchors_xyxy: Tensor, weights: tuple[float, ...] = SSD_WEIGHTS) -> Tensor:
    """Boxes from offsets: ... x A x 4 deltas and A x 4 anchors to ... x A x 4 xyxy in the unit of the anchors."""
    anchors = to_cxcywh(anchors_xyxy)
    shift = deltas[..., :2] / deltas.new_tensor(weights[:2])
    scale = (deltas[..., 2:] / deltas.new_tensor(weights[2:])).clamp(max=MAX_LOG_SCALE)
    centre = anchors[..., :2] + shift * anchors[..., 2:]
    return to_xyxy(torch.cat((centre, anchors[..., 2:] * torch.exp(scale)), dim=-1))
