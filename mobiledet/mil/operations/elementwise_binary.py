"""MIL, section Elementwise binary (iOS 15): shapes broadcast as in NumPy."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def real_div(x: Tensor, y: Tensor) -> Tensor:
    """True division; of integers it is cut towards zero, to fit the declared type."""
    return torch.true_divide(x, y)


def _of_pair(kernel: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def operation(x: Tensor, y: Tensor) -> Tensor:
        return kernel(x, y)

    return operation


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": _of_pair(torch.add),
    "equal": _of_pair(torch.eq),
    "floor_div": _of_pair(torch.floor_divide),
    "greater": _of_pair(torch.gt),
    "greater_equal": _of_pair(torch.ge),
    "less": _of_pair(torch.lt),
    "less_equal": _of_pair(torch.le),
    "logical_and": _of_pair(torch.logical_and),
    "logical_or": _of_pair(torch.logical_or),
    "logical_xor": _of_pair(torch.logical_xor),
    "maximum": _of_pair(torch.maximum),
    "minimum": _of_pair(torch.minimum),
    "mod": _of_pair(torch.remainder),  # with the sign of y, as NumPy's
    "mul": _of_pair(torch.mul),
    "not_equal": _of_pair(torch.ne),
    "pow": _of_pair(torch.pow),
    "real_div": real_div,
    "sub": _of_pair(torch.sub),
}
