"""MIL, section Control flow (iOS 15), without its lists."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

BoundBlock = Callable[..., Sequence[Any]]


def cond(pred: Tensor, blocks: Sequence[BoundBlock]) -> Sequence[Any]:
    """Run the first block if the condition is true, else the second."""
    return blocks[0 if pred else 1]()


def while_loop(loop_vars: Sequence[Tensor], blocks: Sequence[BoundBlock]) -> Sequence[Any]:
    """Run the second block on its own results while the first one returns true for them."""
    values: Sequence[Any] = loop_vars
    while blocks[0](*values)[0]:
        values = blocks[1](*values)
    return values


def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Values of a where the condition is true, else of b."""
    return torch.where(cond, a, b)


OPERATIONS: dict[str, Callable[..., Any]] = {"cond": cond, "select": select, "while_loop": while_loop}
