"""MIL, section Quantization ops (iOS 17)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mobiledet.mil.dtypes import format_of


def quantize(
    input: Tensor, scale: Tensor, output_dtype: str, zero_point: Tensor | None = None, axis: int | None = None
) -> Tensor:
    """clip(round(input / scale) + zero_point), halves rounded to the even neighbour."""
    target = format_of(output_dtype).torch
    codes = (input / along(scale, input, axis)).round()
    if zero_point is not None:
        codes = codes + along(zero_point, input, axis)
    limits = torch.iinfo(target)
    return codes.clamp(limits.min, limits.max).to(target)


def dequantize(input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: int | None = None) -> Tensor:
    """scale * (input - zero_point)."""
    values = input.float()
    if zero_point is not None:
        values = values - along(zero_point, input, axis).float()
    return values * along(scale, input, axis)


def along(values: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """A vector shaped so that it broadcasts along an axis of x; a scalar as it is."""
    if axis is None or values.dim() == 0:
        return values
    sides = [1] * x.dim()
    sides[axis] = -1
    return values.reshape(sides)


OPERATIONS: dict[str, Callable[..., Any]] = {"dequantize": dequantize, "quantize": quantize}
