"""MIL, section Elementwise unary (iOS 15, iOS 17)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mobiledet.mil.dtypes import format_of


def cast(x: Tensor, dtype: str) -> Tensor:
    """Floats are cut towards zero; anything but zero is true. Rounding and wrapping come with the declared type."""
    return x.to(format_of(dtype).torch)


def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    return x.clamp(alpha, beta)


def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    return 1 / (x + epsilon)


def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    return torch.log(x + epsilon)


def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    return torch.rsqrt(x + epsilon)


def threshold(x: Tensor, alpha: float) -> Tensor:
    """The larger of x and alpha."""
    return x.clamp(min=alpha)


def _of_x(kernel: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def operation(x: Tensor) -> Tensor:
        return kernel(x)

    return operation


OPERATIONS: dict[str, Callable[..., Any]] = {
    "abs": _of_x(torch.abs),
    "acos": _of_x(torch.acos),
    "asin": _of_x(torch.asin),
    "atan": _of_x(torch.atan),
    "atanh": _of_x(torch.atanh),
    "cast": cast,
    "ceil": _of_x(torch.ceil),
    "clip": clip,
    "cos": _of_x(torch.cos),
    "cosh": _of_x(torch.cosh),
    "erf": _of_x(torch.erf),
    "exp": _of_x(torch.exp),
    "exp2": _of_x(torch.exp2),
    "floor": _of_x(torch.floor),
    "inverse": inverse,
    "log": log,
    "logical_not": _of_x(torch.logical_not),
    "round": _of_x(torch.round),  # halves to the even neighbour
    "rsqrt": rsqrt,
    "sign": _of_x(torch.sign),
    "sin": _of_x(torch.sin),
    "sinh": _of_x(torch.sinh),
    "sqrt": _of_x(torch.sqrt),
    "square": _of_x(torch.square),
    "tan": _of_x(torch.tan),
    "tanh": _of_x(torch.tanh),
    "threshold": threshold,
}
