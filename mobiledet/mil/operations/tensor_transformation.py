"""MIL, section Tensor transformation (iOS 15, iOS 16, iOS 17, iOS 18)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def batch_to_space(x: Tensor, block_shape: Sequence[int], crops: Sequence[Sequence[int]]) -> Tensor:
    """The inverse of ``space_to_batch``: the blocks lie slowest in the batch."""
    (rows, columns), (batch, channels, height, width) = block_shape, x.shape
    blocks = x.reshape(rows, columns, batch // (rows * columns), channels, height, width)
    image = blocks.permute(2, 3, 4, 0, 5, 1).reshape(-1, channels, height * rows, width * columns)
    (top, bottom), (left, right) = crops
    return image[:, :, top : image.shape[2] - bottom, left : image.shape[3] - right]


def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """The blocks' places lie slowest in the channels."""
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, block_size, block_size, channels // block_size**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * block_size, width * block_size)


def expand_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """The blocks' places lie fastest in the channels."""
    return F.pixel_shuffle(x, upscale_factor)


def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    return F.pixel_unshuffle(x, downscale_factor)


def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """-1 takes what is left; 0 keeps the side of x at its place."""
    if 0 in shape and x.numel():
        shape = [x.shape[axis] if side == 0 else side for axis, side in enumerate(shape)]
    return x.reshape(list(shape))


def reshape_like(
    x: Tensor,
    ref_tensors: Sequence[Tensor],
    begins: Sequence[int] | int,
    ends: Sequence[int] | int,
    end_masks: Sequence[bool] | bool,
) -> Tensor:
    """To a shape put together of parts of the shapes of other tensors, up to the end where masked."""
    lists = [[v] if isinstance(v, int) else v for v in (begins, ends, end_masks)]
    sides: list[int] = []
    for reference, begin, end, masked in zip(ref_tensors, *lists, strict=True):
        sides += reference.shape[begin:] if masked else reference.shape[begin:end]
    return x.reshape(sides)


def reverse(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    return x.flip(list(range(x.dim()) if axes is None else axes))


def reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: int = 0, batch_axis: int = 0) -> Tensor:
    """The first entries of each sequence in reverse order, as many as its length."""
    ordered = x.movedim((batch_axis, seq_axis), (0, 1))
    place = torch.arange(ordered.shape[1])[None]
    length = lengths.long()[:, None]
    source = torch.where(place < length, length - 1 - place, place)
    result = ordered[torch.arange(len(ordered))[:, None], source]
    return result.movedim((0, 1), (batch_axis, seq_axis))


def slice_by_index(
    x: Tensor,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Tensor:
    """x[begin:end:stride] of each dimension, open where masked; squeezed ones are taken at ``begin`` and vanish."""
    for axis, places in enumerate(_ranges(x.shape, begin, end, stride, begin_mask, end_mask, squeeze_mask)):
        if places.step < 0:
            x = x.index_select(axis, torch.tensor(places, dtype=torch.long))
        elif len(places) != x.shape[axis]:
            x = x[(slice(None),) * axis + (slice(places.start, places.stop, places.step),)]
    squeezed = [axis for axis, flag in enumerate(squeeze_mask or []) if flag]
    return x.squeeze(squeezed) if squeezed else x


def slice_by_size(x: Tensor, begin: Sequence[int], size: Sequence[int]) -> Tensor:
    """From ``begin`` on, ``size`` entries of each dimension, all the rest for -1."""
    for axis, (start, length) in enumerate(zip(begin, size, strict=True)):
        start %= max(x.shape[axis], 1)
        x = x.narrow(axis, start, x.shape[axis] - start if length == -1 else length)
    return x


def slice_update(
    x: Tensor,
    update: Tensor,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Tensor:
    """x with what ``slice_by_index`` would take of it replaced."""
    ranges = _ranges(x.shape, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    places = torch.meshgrid(*(torch.tensor(r, dtype=torch.long) for r in ranges), indexing="ij")
    return x.index_put(places, update.reshape([len(r) for r in ranges]))


def sliding_windows(x: Tensor, axis: int, size: int, stride: int = 1) -> Tensor:
    """Windows along the axis, which becomes two: windows, and entries of each."""
    axis %= x.dim()
    return x.unfold(axis, size, stride).movedim(-1, axis + 1)


def space_to_batch(x: Tensor, block_shape: Sequence[int], paddings: Sequence[Sequence[int]]) -> Tensor:
    """Blocks of the padded image; their places lie slowest in the batch."""
    (rows, columns), ((top, bottom), (left, right)) = block_shape, paddings
    x = F.pad(x, (left, right, top, bottom))
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, channels, height // rows, rows, width // columns, columns)
    return blocks.permute(3, 5, 0, 1, 2, 4).reshape(-1, channels, height // rows, width // columns)


def space_to_depth(x: Tensor, block_size: int) -> Tensor:
    """The inverse of ``depth_to_space``."""
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, channels, height // block_size, block_size, width // block_size, block_size)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // block_size, width // block_size)


def squeeze(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(list(axes))


def transpose(x: Tensor, perm: Sequence[int]) -> Tensor:
    return x.permute(list(perm))


def _ranges(
    shape: Sequence[int],
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None,
    begin_mask: Sequence[bool] | None,
    end_mask: Sequence[bool] | None,
    squeeze_mask: Sequence[bool] | None,
) -> list[range]:
    """The places that a slice takes of each dimension."""
    result = []
    for axis, size in enumerate(shape):
        open_begin, open_end, squeezed = (bool(m and m[axis]) for m in (begin_mask, end_mask, squeeze_mask))
        if squeezed:
            place = 0 if open_begin else begin[axis] % size
            result.append(range(place, place + 1))
        else:
            first, last = None if open_begin else begin[axis], None if open_end else end[axis]
            result.append(range(*slice(first, last, stride[axis] if stride else 1).indices(size)))
    return result


OPERATIONS: dict[str, Callable[..., Any]] = {
    "batch_to_space": batch_to_space,
    "depth_to_space": depth_to_space,
    "expand_dims": expand_dims,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "reshape": reshape,
    "reshape_like": reshape_like,
    "reverse": reverse,
    "reverse_sequence": reverse_sequence,
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "slice_update": slice_update,
    "sliding_windows": sliding_windows,
    "space_to_batch": space_to_batch,
    "space_to_depth": space_to_depth,
    "squeeze": squeeze,
    "transpose": transpose,
}
