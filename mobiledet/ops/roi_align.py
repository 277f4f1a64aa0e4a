"""RoIAlign (Mask R-CNN, arXiv:1703.06870, section 3) with a fixed number of samples, as matrix products.

A box is divided into P x P bins; a bin is the mean of S x S samples, each interpolated between its four neighbours.
Both steps are linear and separable: the value of a bin is a weighted sum over rows of a weighted sum over columns, so
two matrix products compute it. ``torchvision.ops.roi_align`` gives the same result but loads single elements. Matrix
products can be exported to phones, and their gradient takes a tenth of the time on a CPU, where torchvision's is
single-threaded.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def interpolation_weights(
    low: Tensor, high: Tensor, size: int, resolution: int, sampling_ratio: int, aligned: bool = False
) -> Tensor:
    """The weights of each line (row or column) of a map in each line of bins.

    Args:
        low, high: edges of boxes along one axis (...), in fractions of the map; they may be outside 0..1.
        size: S, the size of the map along that axis.
        resolution: P, number of bins along that axis.
        sampling_ratio: number of samples of a bin along that axis.
        aligned: whether the map's values are at the centres of its cells. Otherwise they are at the corners, and a box
            is at least one cell long: the original RoIAlign, as in most published detectors.

    Returns:
        ... x P x S; a sample more than a cell outside the map counts as zero, others are clamped to its border.
    """
    start = low * size - (0.5 if aligned else 0.0)
    length = (high - low) * size
    if not aligned:
        length = length.clamp(min=1.0)
    count = resolution * sampling_ratio
    steps = (torch.arange(count, dtype=low.dtype, device=low.device) + 0.5) / count
    samples = start.unsqueeze(-1) + length.unsqueeze(-1) * steps
    inside = torch.logical_and(samples >= -1.0, samples <= size).to(samples.dtype)
    places = samples.clamp(0.0, size - 1.0).unsqueeze(-1)
    cells = torch.arange(size, dtype=low.dtype, device=low.device)
    weights = torch.relu(1 - (places - cells).abs()) * inside.unsqueeze(-1)
    # no tensors above 4-D, which the GPUs of phones do not support
    bins = weights.reshape(-1, resolution, sampling_ratio, size).mean(2)
    return bins.reshape(*low.shape, resolution, size)


def separable_roi_align(features: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The bins of all boxes, from the weights of the map's rows and columns.

    Args:
        features: N x C x H x W.
        rows: N x R x P x H, of the boxes of each image.
        columns: N x R x P x W.

    Returns:
        N * R x C x P x P.
    """
    images, channels, height, width = features.shape
    boxes, resolution = rows.shape[1:3]
    maps = features.permute(0, 2, 3, 1).reshape(images, height, width * channels)
    lines = rows.reshape(images, boxes * resolution, height) @ maps
    lines = lines.reshape(images * boxes, resolution, width, channels).transpose(1, 2)
    lines = lines.reshape(images * boxes, width, resolution * channels)
    bins = columns.reshape(images * boxes, resolution, width) @ lines
    # columns, rows, channels
    return bins.reshape(images * boxes, resolution, resolution, channels).permute(0, 3, 2, 1)


class _DenseRoiAlign(torch.autograd.Function):
    """Bins as one matrix product. Its weights are R * P^2 * H * W values per image, more than the bins except on small
    maps, so they are recomputed for the gradient from the weights of rows and columns."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(rows, columns)
        return _dense_weights(rows, columns).to(maps.dtype) @ maps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        rows, columns = ctx.saved_tensors
        return _dense_weights(rows, columns).to(gradient.dtype).transpose(1, 2) @ gradient, None, None


def _dense_weights(rows: Tensor, columns: Tensor) -> Tensor:
    """N x R x P x H and N x R x P x W to N x RPP x HW."""
    weights = rows.unsqueeze(3).unsqueeze(5) * columns.unsqueeze(2).unsqueeze(4)
    images, boxes, resolution, height = rows.shape
    return weights.reshape(images, boxes * resolution**2, height * columns.shape[3])


def dense_roi_align(features: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``separable_roi_align`` as one matrix product, whose weights are those of rows times those of columns.

    For training on small maps: it is as fast, and needs less memory if H * P is below C. It is differentiable only with
    respect to the features.
    """
    images, channels, height, width = features.shape
    boxes, resolution = rows.shape[1:3]
    maps = features.permute(0, 2, 3, 1).reshape(images, height * width, channels)
    bins: Tensor = _DenseRoiAlign.apply(maps, rows.detach(), columns.detach())
    return bins.reshape(images * boxes, resolution, resolution, channels).permute(0, 3, 1, 2)


def sample_lookups(
    low: Tensor, high: Tensor, size: Tensor, resolution: int, sampling_ratio: int
) -> tuple[Tensor, Tensor]:
    """The two lines of a map next to each sample, and their weights; not aligned.

    A sparse form of ``interpolation_weights``, for boxes on maps of different sizes.

    Args:
        low, high: K edges of boxes along one axis, in fractions of the map.
        size: K, of each box's map along that axis, as floats.
        resolution, sampling_ratio: bins, and samples of a bin.

    Returns:
        K x L line indices as floats and K x L weights, L = 2 * resolution * sampling_ratio, bin by bin; a bin is the
        mean of its weighted lines, two per sample.
    """
    low, high, size = low.unsqueeze(1), high.unsqueeze(1), size.unsqueeze(1)
    count = resolution * sampling_ratio
    steps = (torch.arange(count, dtype=low.dtype, device=low.device) + 0.5) / count
    samples = low * size + ((high - low) * size).clamp(min=1.0) * steps
    inside = (samples >= -1.0).to(samples.dtype) * (samples <= size).to(samples.dtype)
    places = torch.minimum(samples.clamp(min=0.0), size - 1)
    first = torch.floor(places)
    share = places - first
    lines = torch.stack((first, torch.minimum(first + 1, size - 1)), dim=-1)
    weights = torch.stack((1 - share, share), dim=-1) * (2 * inside.unsqueeze(-1))
    return lines.flatten(1), weights.flatten(1)


def gathered_roi_align(table: Tensor, cells: Tensor, weights: Tensor, resolution: int) -> Tensor:
    """Bins as weighted means of looked-up cells; the cost does not depend on the size of the maps.

    Means are used instead of sums because TensorFlow's reference kernel reads the signed integers of a sum as unsigned.

    Args:
        table: T x C, the cells of all maps.
        cells: K x L x L row indices in the table, map rows before columns, grouped by bin.
        weights: K x L x L.
        resolution: P.

    Returns:
        K x C x P x P.
    """
    boxes, lines = cells.shape[:2]
    channels = table.shape[1]
    values = F.embedding(cells.reshape(-1), table) * weights.reshape(-1, 1)
    rows = values.reshape(boxes * resolution, lines // resolution, lines, channels).mean(1)
    bins = rows.reshape(boxes * resolution**2, lines // resolution, channels).mean(1)
    return bins.reshape(boxes, resolution, resolution, channels).permute(0, 3, 1, 2)
