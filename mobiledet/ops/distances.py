"""Boxes as distances from a point to their four sides, each a distribution over whole numbers of cells.

Generalized Focal Loss (arXiv:2006.04388), section 3.2, equations 4 and 5: a side's distance is the expectation of a
softmax over the bins 0, 1, ..., n.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def corner_priors(feature_shapes: Sequence[tuple[int, int]], strides: Sequence[int]) -> Tensor:
    """The top left corner of each cell of each level, in the order of the flattened head outputs.

    Args:
        feature_shapes: (height, width) of each level's map.
        strides: of each level, in pixels.

    Returns:
        A x 3: x, y and stride, in pixels.
    """
    levels = []
    for (rows, columns), stride in zip(feature_shapes, strides, strict=True):
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        level = torch.stack((x * stride, y * stride, torch.full_like(x, stride)), dim=-1)
        levels.append(level.reshape(-1, 3).float())
    return torch.cat(levels)


def expected_distances(logits: Tensor, bins: int) -> Tensor:
    """... x (4 * bins) logits to ... x 4 distances (left, top, right, bottom) in cells, 0 to bins - 1."""
    probabilities = logits.unflatten(-1, (4, bins)).softmax(-1)
    return (probabilities * torch.arange(bins, dtype=logits.dtype, device=logits.device)).sum(-1)


def decode_distances(distances: Tensor, priors: Tensor) -> Tensor:
    """... x A x 4 distances in cells and A x 3 priors to ... x A x 4 xyxy in pixels, not clipped."""
    points, strides = priors[:, :2], priors[:, 2:]
    pixels = distances * strides
    return torch.cat((points - pixels[..., :2], points + pixels[..., 2:]), dim=-1)


def encode_distances(boxes_xyxy: Tensor, priors: Tensor) -> Tensor:
    """The inverse of ``decode_distances``: distances in cells from ... x A x 4 boxes; negative if the point is outside
    the box."""
    points, strides = priors[:, :2], priors[:, 2:]
    return torch.cat((points - boxes_xyxy[..., :2], boxes_xyxy[..., 2:] - points), dim=-1) / strides
