"""MIL, section Tensor operation (iOS 15, iOS 16, iOS 17)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mobiledet.mil.suppression import greedy_suppression


def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    """Of equal values the first one comes first."""
    return x.argsort(dim=axis, descending=not ascending, stable=True)


def band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    """The matrix in the last two dimensions, zero outside of a band around its diagonal; -1 keeps all of a side."""
    rows, columns = x.shape[-2:]
    below = torch.arange(rows)[:, None] - torch.arange(columns)
    keep = ((below <= lower) | (lower < 0)) & ((-below <= upper) | (upper < 0))
    return torch.where(keep, x, torch.zeros((), dtype=x.dtype))


def concat(values: Sequence[Tensor], axis: int, interleave: bool = False) -> Tensor:
    """Interleaved: the first entry of each, then the second of each, and so on."""
    if not interleave:
        return torch.cat(list(values), axis)
    axis %= values[0].dim()
    return torch.stack(list(values), axis + 1).flatten(axis, axis + 1)


def cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Running sum; exclusive leaves each entry out of its own sum, reverse starts at the end."""
    x = x.flip(axis) if reverse else x
    result = x.cumsum(axis) - x if exclusive else x.cumsum(axis)
    return result.flip(axis) if reverse else result


def fill(shape: Sequence[int], value: Tensor | None = None) -> Tensor:
    """A tensor of one value, 0.0 by default."""
    return (torch.zeros(()) if value is None else value).expand(list(shape)).clone()


def fill_like(ref_tensor: Tensor, value: Tensor | None = None) -> Tensor:
    return fill(ref_tensor.shape, value)


def flatten2d(x: Tensor, axis: int = 1) -> Tensor:
    """Dimensions before the axis become one, and those from it on."""
    leading = x.shape[: axis % x.dim() if axis < 0 else axis]
    return x.reshape(leading.numel(), -1)


def identity(x: Tensor) -> Tensor:
    return x


def non_maximum_suppression(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    max_boxes: int,
    score_threshold: float = -torch.inf,
    per_class_suppression: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The chosen boxes of each image, best first, padded: boxes and scores with zeros, indices with -1.

    Args:
        boxes: N x B x 4, centre and size.
        scores: N x B x K.
        iou_threshold: boxes that overlap more are suppressed.
        max_boxes: rows of the result.
        score_threshold: lowest of the best class of a box.
        per_class_suppression: only boxes of the same best class suppress each other.

    Returns:
        boxes, scores, indices, and how many rows count.
    """
    rows = []
    for image_boxes, image_scores in zip(boxes, scores, strict=True):
        kept = greedy_suppression(image_boxes, image_scores, iou_threshold, score_threshold, per_class_suppression)
        kept = kept[:max_boxes]
        end = max_boxes - len(kept)
        padded = [F.pad(values[kept], (0, 0, 0, end)) for values in (image_boxes, image_scores)]
        rows.append((*padded, F.pad(kept, (0, end), value=-1), torch.tensor(len(kept))))
    first, second, third, fourth = (torch.stack(column) for column in zip(*rows, strict=True))
    return first, second, third, fourth


def non_zero(x: Tensor) -> Tensor:
    """Indices of what is not zero, one row each."""
    return x.nonzero()


def one_hot(
    indices: Tensor,
    one_hot_vector_size: int,
    axis: int = -1,
    on_value: Tensor | None = None,
    off_value: Tensor | None = None,
) -> Tensor:
    """A new axis on which the place of the index holds ``on_value``, the others ``off_value``."""
    axis %= indices.dim() + 1
    sides = [1] * (indices.dim() + 1)
    sides[axis] = -1
    hit = indices.unsqueeze(axis) == torch.arange(one_hot_vector_size).reshape(sides)
    on = torch.tensor(1) if on_value is None else on_value
    return torch.where(hit, on, torch.tensor(0) if off_value is None else off_value)


def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """Pad the last dimensions, as many as the list has pairs: with a value, mirrored, or with the value at the edge."""
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    if mode == "constant":
        return F.pad(x, [amount for pair in reversed(pairs) for amount in pair], value=constant_val)
    for offset, (before, after) in enumerate(reversed(pairs), start=1):
        places = torch.arange(-before, x.shape[-offset] + after)
        last = x.shape[-offset] - 1
        places = last - (last - places.abs()).abs() if mode == "reflect" else places.clamp(0, last)
        x = x.index_select(-offset, places)
    return x


def range_1d(end: Tensor, start: Tensor, step: Tensor) -> Tensor:
    return torch.arange(start.item(), end.item(), step.item(), dtype=end.dtype)


def shape(x: Tensor) -> Tensor:
    return torch.tensor(x.shape)


def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Sequence[int] | None = None
) -> tuple[Tensor, ...]:
    """In equal parts, or in those of the given sizes."""
    if split_sizes:
        return x.split(list(split_sizes), axis)
    assert num_splits
    return x.split(x.shape[axis] // num_splits, axis)


def stack(values: Sequence[Tensor], axis: int) -> Tensor:
    return torch.stack(list(values), axis)


def tile(x: Tensor, reps: Sequence[int]) -> Tensor:
    return x.tile(list(reps))


def topk(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> Tensor | tuple[Tensor, Tensor]:
    """The k largest, or smallest, with their indices; all for k = -1. Of equal values the first ones are taken."""
    order = x.argsort(dim=axis, descending=not ascending, stable=True)
    order = order if k == -1 else order.narrow(axis, 0, k)
    values = x.gather(axis, order)
    return (values, order) if return_indices else values


OPERATIONS: dict[str, Callable[..., Any]] = {
    "argsort": argsort,
    "band_part": band_part,
    "concat": concat,
    "cumsum": cumsum,
    "fill": fill,
    "fill_like": fill_like,
    "flatten2d": flatten2d,
    "identity": identity,
    "non_maximum_suppression": non_maximum_suppression,
    "non_zero": non_zero,
    "one_hot": one_hot,
    "pad": pad,
    "range_1d": range_1d,
    "shape": shape,
    "split": split,
    "stack": stack,
    "tile": tile,
    "topk": topk,
}
