"""MIL, section Conv (iOS 15, iOS 17)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mobiledet.mil.operations.padding import apply_pads, is_even, window_pads

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: list[int] | None = None,
    pad_type: str = "valid",
    pad: list[int] | None = None,
    dilations: list[int] | None = None,
    groups: int = 1,
) -> Tensor:
    """Convolution of N x C x 1 to 3 spatial dimensions."""
    dimensions = x.dim() - 2
    strides, dilations = strides or [1] * dimensions, dilations or [1] * dimensions
    pads = window_pads(pad_type, pad, x.shape[2:], _windows(weight, dilations), strides)
    if is_even(pads):  # the kernel pads without a copy
        padding = [before for before, _ in pads]
    else:
        x, padding = apply_pads(x, pads), [0] * dimensions
    return CONVOLUTIONS[dimensions](x, weight, bias, strides, padding, dilations, groups)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: list[int] | None = None,
    output_shape: list[int] | None = None,
    pad_type: str = "valid",
    strides: list[int] | None = None,
    dilations: list[int] | None = None,
    groups: int = 1,
) -> Tensor:
    """Transposed convolution: everything that the inputs reach, cropped by the padding.

    ``same`` gives size * stride values along each dimension; ``output_shape`` fixes them, and rows at the end that
    nothing reaches hold the bias.
    """
    dimensions = x.dim() - 2
    strides, dilations = strides or [1] * dimensions, dilations or [1] * dimensions
    full = TRANSPOSED[dimensions](x, weight, None, strides, 0, 0, groups, dilations)
    same = pad_type.lower() in ("same", "same_lower")
    targets = [size * stride for size, stride in zip(x.shape[2:], strides, strict=True)]
    targets = list(output_shape[2:]) if output_shape else targets
    # same is the transpose of the convolution that takes the targets to x
    sizes = targets if same else x.shape[2:]
    crops = window_pads(pad_type, pad, sizes, _windows(weight, dilations), strides)
    ends = [after for _, after in crops]
    if same or output_shape:
        ends = [n - t - before for n, t, (before, _) in zip(full.shape[2:], targets, crops, strict=True)]
    result = apply_pads(full, [(-before, -after) for (before, _), after in zip(crops, ends, strict=True)])
    return result if bias is None else result + bias.reshape(-1, *[1] * dimensions)


def _windows(weight: Tensor, dilations: Sequence[int]) -> list[int]:
    return [(size - 1) * dilation + 1 for size, dilation in zip(weight.shape[2:], dilations, strict=True)]


OPERATIONS: dict[str, Callable[..., Any]] = {"conv": conv, "conv_transpose": conv_transpose}
