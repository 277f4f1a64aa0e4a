"""MIL, section Scatter and gather (iOS 15, iOS 16, iOS 17).

Up to iOS 16 negative indices count from the end. From iOS 17 on, whose operations have the input ``validate_indices``,
they are out of bounds; what a program then gets is not defined, so that here it is an error whatever that input says.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

# mode -> reduction of ``Tensor.scatter_reduce`` and what is done to the updates first
REDUCTIONS = {"add": "sum", "sub": "sum", "mul": "prod", "div": "prod", "max": "amax", "min": "amin"}


def gather(
    x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool | None = None
) -> Tensor:
    """Slices of x along the axis; the first ``batch_dims`` dimensions of both go together."""
    axis %= x.dim()
    indices = _checked(indices, x.shape[axis], validate_indices)
    if not batch_dims:
        slices = x.index_select(axis, indices.flatten())
        return slices.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    batch = x.shape[:batch_dims]
    rows = x.reshape(-1, *x.shape[batch_dims:])
    flat = indices.reshape(len(rows), -1)
    place = axis - batch_dims + 1
    wide = flat.reshape(len(rows), *[1] * (place - 1), -1, *[1] * (rows.dim() - place - 1))
    wide = wide.expand(*rows.shape[:place], flat.shape[1], *rows.shape[place + 1 :])
    return rows.gather(place, wide).reshape(
        *batch, *x.shape[batch_dims:axis], *indices.shape[batch_dims:], *x.shape[axis + 1 :]
    )


def gather_along_axis(x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool | None = None) -> Tensor:
    """One value for each index, of the same place in all other dimensions."""
    return x.gather(axis, _checked(indices, x.shape[axis], validate_indices))


def gather_nd(x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool | None = None) -> Tensor:
    """Slices of x, each by a row of indices, one for each of the first dimensions after the batch's."""
    depth = indices.shape[-1]
    sizes = x.shape[batch_dims : batch_dims + depth]
    columns = _columns(indices, sizes, validate_indices)
    batch = indices.shape[:batch_dims]
    sides = [1] * (indices.dim() - 1)
    leading = []
    for dimension, size in enumerate(batch):
        shape = [*sides]
        shape[dimension] = size
        leading.append(torch.arange(size).reshape(shape))
    return x[(*leading, *columns)]


def scatter(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    """Slices along the axis are changed by the updates."""
    axis %= data.dim()
    flat = _checked(indices, data.shape[axis], validate_indices).flatten()
    updates = updates.reshape(*data.shape[:axis], len(flat), *data.shape[axis + 1 :])
    sides = [1] * data.dim()
    sides[axis] = -1
    return _scatter(data, flat.reshape(sides).expand_as(updates), updates, axis, mode)


def scatter_along_axis(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    """Values are changed by the updates, at the same place in all other dimensions."""
    return _scatter(data, _checked(indices, data.shape[axis], validate_indices), updates, axis, mode)


def scatter_nd(
    data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add", validate_indices: bool | None = None
) -> Tensor:
    """Slices are changed by the updates, each at a row of indices, one for each of the first dimensions."""
    depth = indices.shape[-1]
    columns = _columns(indices, data.shape[:depth], validate_indices)
    place = torch.zeros_like(columns[0])
    for column, size in zip(columns, data.shape[:depth], strict=True):
        place = place * size + column
    rows = data.reshape(-1, *data.shape[depth:])
    updates = updates.reshape(-1, *data.shape[depth:])
    wide = place.flatten().reshape(-1, *[1] * (rows.dim() - 1)).expand_as(updates)
    return _scatter(rows, wide, updates, 0, mode).reshape(data.shape)


def _scatter(data: Tensor, indices: Tensor, updates: Tensor, axis: int, mode: str) -> Tensor:
    if mode == "update":
        return data.scatter(axis, indices, updates)
    updates = {"sub": torch.neg, "div": torch.reciprocal}.get(mode, torch.Tensor.clone)(updates)
    return data.scatter_reduce(axis, indices, updates.to(data.dtype), REDUCTIONS[mode])


def _columns(indices: Tensor, sizes: Sequence[int], validate_indices: bool | None) -> list[Tensor]:
    """The indices of each dimension."""
    return [_checked(c, size, validate_indices) for c, size in zip(indices.unbind(-1), sizes, strict=True)]


def _checked(indices: Tensor, size: int, validate_indices: bool | None) -> Tensor:
    """Indices from 0 on.

    Raises:
        IndexError: one is out of bounds.
    """
    indices = indices.long()
    if validate_indices is None:
        indices = torch.where(indices < 0, indices + size, indices)
    if indices.numel() and not (int(indices.min()) >= 0 and int(indices.max()) < size):
        raise IndexError(f"an index from {int(indices.min())} to {int(indices.max())} is not among {size} entries")
    return indices


OPERATIONS: dict[str, Callable[..., Any]] = {
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "scatter": scatter,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
}
