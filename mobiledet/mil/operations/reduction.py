"""MIL, section Reduction (iOS 15, iOS 17): over the given axes, all of them by default."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Kernel = Callable[[Tensor, list[int], bool], Tensor]


def reduce_argmax(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Index of the largest value, of the first one of several."""
    return x.argmax(axis, keep_dims)


def reduce_argmin(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Index of the smallest value, of the first one of several."""
    return x.argmin(axis, keep_dims)


def _product(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep_dims)
    return x


def _over(kernel: Kernel) -> Callable[..., Tensor]:
    def operation(x: Tensor, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Tensor:
        return kernel(x, list(range(x.dim()) if axes is None else axes), keep_dims)

    return operation


OPERATIONS: dict[str, Callable[..., Any]] = {
    "reduce_argmax": reduce_argmax,
    "reduce_argmin": reduce_argmin,
    "reduce_l1_norm": _over(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "reduce_l2_norm": _over(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "reduce_log_sum": _over(lambda x, axes, keep: x.sum(axes, keep).log()),
    "reduce_log_sum_exp": _over(torch.logsumexp),
    "reduce_max": _over(torch.amax),
    "reduce_mean": _over(lambda x, axes, keep: x.mean(axes, keep)),
    "reduce_min": _over(torch.amin),
    "reduce_prod": _over(_product),
    "reduce_sum": _over(lambda x, axes, keep: x.sum(axes, keep)),
    "reduce_sum_square": _over(lambda x, axes, keep: x.square().sum(axes, keep)),
}
