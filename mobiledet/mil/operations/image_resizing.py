"""MIL, section Image resizing (iOS 15, iOS 16, iOS 17), but for ``crop_resize``."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mobiledet.mil.operations.sampling import bilinear, nearest, sample_points


def affine(
    x: Tensor,
    transform_matrix: Tensor,
    output_height: int,
    output_width: int,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """Bilinear samples at transformed places, -1 to 1 from the first pixel's centre to the last one's; zeros outside.

    Raises:
        ValueError: another mode, which MIL does not define.
    """
    modes = (sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners)
    if modes != ("bilinear", "constant", 0, "normalized_minus_one_to_one", True):
        raise ValueError(f"the modes {modes} are not defined")
    matrices = transform_matrix.reshape(-1, 2, 3).expand(len(x), 2, 3)
    grid = F.affine_grid(matrices, [len(x), x.shape[1], output_height, output_width], align_corners=True)
    return F.grid_sample(x, grid, align_corners=True)


def crop(x: Tensor, crop_height: Sequence[int], crop_width: Sequence[int]) -> Tensor:
    """Without rows at the top and the bottom, and columns at the left and the right."""
    (top, bottom), (left, right) = crop_height, crop_width
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def resample(
    x: Tensor,
    coordinates: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """Samples of N x C x H x W at N x H' x W' x 2 places (x, y).

    Args:
        sampling_mode: ``bilinear`` or ``nearest``.
        padding_mode: outside lies ``constant`` the padding value, the ``border``, or the image mirrored at the last
            pixel's centre (``reflection``) or edge (``symmetric``).
        coordinates_mode: ``unnormalized`` pixels, or ``normalized_minus_one_to_one`` or ``normalized_zero_to_one``.
        align_corners: whether normalised coordinates end at the centre of the last pixel, or at its edge.
    """
    sizes = torch.tensor([x.shape[3], x.shape[2]], dtype=torch.float32)
    pixels = coordinates.float()
    if coordinates_mode != "unnormalized":
        fraction = (pixels + 1) / 2 if coordinates_mode == "normalized_minus_one_to_one" else pixels
        pixels = fraction * (sizes - 1) if align_corners else fraction * sizes - 0.5
    at_centre = padding_mode != "symmetric"  # the kernel mirrors where its coordinates end
    grid = 2 * pixels / (sizes - 1).clamp(min=1) - 1 if at_centre else (2 * pixels + 1) / sizes - 1
    outside = {"constant": "zeros", "border": "border", "reflection": "reflection", "symmetric": "reflection"}
    offset = padding_value if padding_mode == "constant" else 0.0
    kind = outside[padding_mode]
    return F.grid_sample(x - offset, grid, sampling_mode, kind, align_corners=at_centre) + offset


def resize(
    x: Tensor,
    shape: Sequence[int],
    resized_dims: int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """The last ``resized_dims`` sides become those at the end of ``shape``, where 0 keeps a side."""
    dtype, x = x.dtype, x.float()
    for offset in range(1, resized_dims + 1):
        size = shape[-offset] or x.shape[-offset]
        points = sample_points(x.shape[-offset], size, sampling_mode)
        sampler = {"LINEAR": bilinear, "NEAREST_NEIGHBOR": nearest}[interpolation_mode]
        # places between pixels go to the nearest one; those of DEFAULT belong to corners, and go down
        shift = 0.0 if interpolation_mode == "LINEAR" or sampling_mode == "DEFAULT" else 0.5
        x = sampler(x, -offset, points + shift)
    return x.to(dtype)


def resize_bilinear(
    x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Tensor:
    """The last two sides; ``sample_points`` tells the modes."""
    rows = sample_points(x.shape[-2], target_size_height, sampling_mode)
    columns = sample_points(x.shape[-1], target_size_width, sampling_mode)
    return bilinear(bilinear(x, -2, rows), -1, columns)


def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """The last two sides; pixel i comes from i * size / target, cut."""
    rows = sample_points(x.shape[-2], target_size_height, "DEFAULT")
    columns = sample_points(x.shape[-1], target_size_width, "DEFAULT")
    return nearest(nearest(x, -2, rows), -1, columns)


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """The last two sides times a factor, cut to whole pixels."""
    half_pixels = not align_corners if half_pixel_centers is None else half_pixel_centers
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if half_pixels else "DEFAULT"
    height, width = _scaled(x.shape[-2], scale_factor_height), _scaled(x.shape[-1], scale_factor_width)
    return resize_bilinear(x, height, width, mode)


def upsample_nearest_neighbor(x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1) -> Tensor:
    """The last two sides times a factor, cut to whole pixels; pixel i comes from i / factor, cut."""
    for axis, factor in ((-2, scale_factor_height), (-1, scale_factor_width)):
        points = torch.arange(_scaled(x.shape[axis], factor), dtype=torch.float64) / factor
        x = nearest(x, axis, points)
    return x


def _scaled(size: int, factor: float) -> int:
    return math.floor(size * factor + 1e-4)  # a factor of 32 bits lies a little off the true one


OPERATIONS: dict[str, Callable[..., Any]] = {
    "affine": affine,
    "crop": crop,
    "resample": resample,
    "resize": resize,
    "resize_bilinear": resize_bilinear,
    "resize_nearest_neighbor": resize_nearest_neighbor,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
