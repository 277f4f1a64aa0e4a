"""Sampling along one dimension, as the operations of MIL's section Image resizing share it."""

import torch
from torch import Tensor


def sample_points(size: int, count: int, mode: str) -> Tensor:
    """Where ``count`` samples of a line of ``size`` pixels lie, 0 being the centre of the first pixel.

    Args:
        size: pixels.
        count: samples.
        mode: ``STRICT_ALIGN_CORNERS`` from the first pixel to the last; ``ALIGN_CORNERS`` the same, a single sample in
            the middle; ``DEFAULT`` from the first pixel on in steps of size / count; ``UNALIGN_CORNERS`` the same,
            about the middle; ``OFFSET_CORNERS`` in the middle of equal parts of the way from the first to the last.

    Returns:
        float64, within 0..size - 1.
    """
    points = interval_points(torch.tensor(float(size - 1), dtype=torch.float64), count, mode)
    return points.clamp(0, size - 1)


def interval_points(length: Tensor, count: int, mode: str) -> Tensor:
    """``count`` samples for each length, one less than its pixels, as above: lengths' shape x count."""
    index = torch.arange(count, dtype=length.dtype)
    length = length.unsqueeze(-1)
    if mode == "ALIGN_CORNERS" and count == 1:
        return length / 2
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        return index * length / max(count - 1, 1)
    if mode == "DEFAULT":
        return index * (length + 1) / count
    if mode == "UNALIGN_CORNERS":
        return (index + 0.5) * (length + 1) / count - 0.5
    if mode == "OFFSET_CORNERS":
        return (index + 0.5) * length.clamp(min=1) / count
    raise ValueError(f"sampling mode {mode} is unknown")


def bilinear(x: Tensor, axis: int, points: Tensor) -> Tensor:
    """Values between the two neighbours of each point along an axis."""
    lower = points.long()
    upper = (lower + 1).clamp(max=x.shape[axis] - 1)
    weight = (points - lower).float()
    weight = weight.reshape(-1, *[1] * (-axis - 1))
    return torch.lerp(x.index_select(axis, lower), x.index_select(axis, upper), weight)


def nearest(x: Tensor, axis: int, points: Tensor) -> Tensor:
    """Values of the pixel that each point has reached."""
    return x.index_select(axis, (points + 1e-6).long().clamp(0, x.shape[axis] - 1))
