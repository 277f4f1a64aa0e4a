"""MIL, section Image resizing (iOS 15, iOS 16, iOS 17): ``crop_resize``."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mobiledet.mil.operations.sampling import interval_points


def crop_resize(
    x: Tensor,
    roi: Tensor | None = None,
    boxes: Tensor | None = None,
    box_indices: Tensor | None = None,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> Tensor:
    """Boxes of images, each resized with bilinear interpolation.

    A box reaches from the centre of its first pixel to that of its last one; the samples lie in it as ``sample_points``
    has them. Samples outside of the image are the padding value, as in ``tf.image.crop_and_resize``.

    Args:
        x: B x C x H x W.
        roi: up to iOS 16, N x 1 x 4 x 1 x 1 for boxes of every image, or N x 1 x 5 x 1 x 1 with its number first.
        boxes: from iOS 17 on, N x 4.
        box_indices: of the image of each of these boxes; 0 to N - 1 by default.
        target_height, target_width: of the result, in pixels.
        normalized_coordinates: whether 1 stands for the last pixel.
        spatial_scale: times which the coordinates are taken.
        box_coordinate_mode: ``CORNERS_`` or ``CENTER_SIZE_``, ``HEIGHT_FIRST`` or ``WIDTH_FIRST``.
        sampling_mode: see ``sample_points``.
        pad_value: outside of the image.

    Returns:
        N x C x target_height x target_width; for ``roi`` N x 1 or B x C x target_height x target_width.
    """
    batch = len(x)
    options = (target_height, target_width, normalized_coordinates, spatial_scale, box_coordinate_mode, sampling_mode)
    if boxes is not None:
        numbers = torch.arange(len(boxes)) if box_indices is None else box_indices.long()
        return _crop(x, boxes.double(), numbers, *options, pad_value)
    assert roi is not None
    rows = roi.reshape(len(roi), -1).double()
    if rows.shape[1] == 5:
        return _crop(x, rows[:, 1:], rows[:, 0].long(), *options, pad_value).unsqueeze(1)
    numbers = torch.arange(batch).repeat(len(rows))
    crops = _crop(x, rows.repeat_interleave(batch, dim=0), numbers, *options, pad_value)
    return crops.reshape(len(rows), batch, *crops.shape[1:])


def _crop(
    x: Tensor,
    boxes: Tensor,
    numbers: Tensor,
    target_height: int,
    target_width: int,
    normalized: bool,
    scale: float,
    coordinates: str,
    mode: str,
    pad_value: float,
) -> Tensor:
    boxes = boxes * scale
    if coordinates.endswith("WIDTH_FIRST"):
        boxes = boxes[:, [1, 0, 3, 2]]
    start, end = boxes[:, :2], boxes[:, 2:]
    if coordinates.startswith("CENTER_SIZE"):
        start, end = start - end / 2, start + end / 2
    sizes = torch.tensor(x.shape[2:])
    if normalized:
        start, end = start * (sizes - 1), end * (sizes - 1)
    height, width = x.shape[2:]
    rows = start[:, :1] + interval_points(end[:, 0] - start[:, 0], target_height, mode)  # N x target_height
    columns = start[:, 1:] + interval_points(end[:, 1] - start[:, 1], target_width, mode)

    weights = _hat(rows, height), _hat(columns, width)
    crops = weights[0][:, None] @ x[numbers] @ weights[1][:, None].transpose(-1, -2)
    inside = _inside(rows, height)[:, None, :, None] & _inside(columns, width)[:, None, None, :]
    return torch.where(inside, crops, pad_value)


def _hat(points: Tensor, size: int) -> Tensor:
    """Weights of the pixels for linear interpolation: N x points x size."""
    return (1 - (points[..., None] - torch.arange(size)).abs()).clamp(min=0).float()


def _inside(points: Tensor, size: int) -> Tensor:
    return (points >= 0) & (points <= size - 1)


OPERATIONS: dict[str, Callable[..., Any]] = {"crop_resize": crop_resize}
