"""MIL, section Pool (iOS 15)."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mobiledet.mil.operations.padding import Pads, apply_pads, is_even, window_pads

MAXIMUM = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def max_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value under each window; padding never wins."""
    strides = strides or [1] * len(kernel_sizes)
    pads = window_pads(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    pool = MAXIMUM[len(kernel_sizes)]
    if _kernel_can_pad(pads, kernel_sizes):
        return pool(x, kernel_sizes, strides, [before for before, _ in pads], ceil_mode=ceil_mode)
    return pool(apply_pads(x, pads, -math.inf), kernel_sizes, strides, ceil_mode=ceil_mode)


def avg_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """The mean under each window, padding counted as zeros or not at all."""
    strides = strides or [1] * len(kernel_sizes)
    pads = window_pads(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    pool = AVERAGE[len(kernel_sizes)]
    if _kernel_can_pad(pads, kernel_sizes):
        padding = [before for before, _ in pads]
        return pool(x, kernel_sizes, strides, padding, ceil_mode, not exclude_padding_from_average)
    mean = pool(apply_pads(x, pads), kernel_sizes, strides, 0, ceil_mode)
    if not exclude_padding_from_average:
        return mean
    return mean / pool(apply_pads(torch.ones_like(x[:1, :1]), pads), kernel_sizes, strides, 0, ceil_mode)


def l2_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The square root of the sum of squares under each window."""
    strides = strides or [1] * len(kernel_sizes)
    padded = apply_pads(x, window_pads(pad_type, pad, x.shape[2:], kernel_sizes, strides))
    mean = AVERAGE[len(kernel_sizes)](padded.square(), kernel_sizes, strides, 0, ceil_mode)
    return (mean * math.prod(kernel_sizes)).sqrt()


def _kernel_can_pad(pads: Pads, kernel_sizes: Sequence[int]) -> bool:
    """PyTorch's pools take equal padding of at most half a window."""
    return is_even(pads) and all(2 * before <= size for (before, _), size in zip(pads, kernel_sizes, strict=True))


OPERATIONS: dict[str, Callable[..., Any]] = {"avg_pool": avg_pool, "l2_pool": l2_pool, "max_pool": max_pool}
