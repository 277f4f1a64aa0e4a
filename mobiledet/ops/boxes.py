"""Box arithmetic on the last dimension; xyxy is (x1, y1, x2, y2), cxcywh is (centre x, centre y, width, height)."""

import torch
from torch import Tensor


def to_cxcywh(boxes_xyxy: Tensor) -> Tensor:
    """... x 4 xyxy to ... x 4 cxcywh, in the same unit."""
    top_left, bottom_right = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return torch.cat(((top_left + bottom_right) / 2, bottom_right - top_left), dim=-1)


def to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """... x 4 cxcywh to ... x 4 xyxy, in the same unit."""
    centre, size = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:]
    return torch.cat((centre - size / 2, centre + size / 2), dim=-1)


def area(boxes_xyxy: Tensor) -> Tensor:
    """Areas of boxes, from ... x 4 to ...; 0 if a side is negative."""
    sides = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def pairwise_iou(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """Intersection over union of all pairs, batched.

    Args:
        first_xyxy: ... x M x 4.
        second_xyxy: ... x A x 4, leading dimensions that broadcast.

    Returns:
        ... x M x A in 0..1; 0 where both boxes are empty.
    """
    # one coordinate at a time: no ... x M x A x 2 tensors, which cost most of the time on a CPU
    x1, y1, x2, y2 = first_xyxy.unsqueeze(-2).unbind(-1)  # ... x M x 1
    u1, v1, u2, v2 = second_xyxy.unsqueeze(-3).unbind(-1)  # ... x 1 x A
    width = (torch.minimum(x2, u2) - torch.maximum(x1, u1)).clamp(min=0)
    height = (torch.minimum(y2, v2) - torch.maximum(y1, v1)).clamp(min=0)
    intersection = width * height
    union = area(first_xyxy).unsqueeze(-1) + area(second_xyxy).unsqueeze(-2) - intersection
    return intersection / union.clamp(min=torch.finfo(union.dtype).tiny)


def paired_iou(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """Intersection over union of the boxes at the same position: ... x 4 twice to ...; 0 where both are empty."""
    intersection = _intersection(first_xyxy, second_xyxy)
    union = area(first_xyxy) + area(second_xyxy) - intersection
    return intersection / union.clamp(min=torch.finfo(union.dtype).tiny)


def paired_giou(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """Generalised intersection over union (arXiv:1902.09630) of the boxes at the same position: ... x 4 twice to ...,
    in -1..1."""
    eps = torch.finfo(first_xyxy.dtype).eps
    intersection = _intersection(first_xyxy, second_xyxy)
    union = area(first_xyxy) + area(second_xyxy) - intersection
    top_left = torch.minimum(first_xyxy[..., :2], second_xyxy[..., :2])
    bottom_right = torch.maximum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    hull = (bottom_right - top_left).prod(-1)
    return intersection / (union + eps) - (hull - union) / (hull + eps)


def _intersection(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """Common area of the boxes at the same position."""
    top_left = torch.maximum(first_xyxy[..., :2], second_xyxy[..., :2])
    bottom_right = torch.minimum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    return area(torch.cat((top_left, bottom_right), dim=-1))
