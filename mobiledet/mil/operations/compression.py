"""MIL, sections Constexpr ops (iOS 16) and Compression (iOS 18): constants that are stored smaller than they are.

iOS 16 and iOS 18 have operations of the same names and other inputs; the inputs tell them apart.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mobiledet.mil.dtypes import format_of, unpack_bits
from mobiledet.mil.operations.quantization import dequantize


def constexpr_affine_dequantize(quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: int) -> Tensor:
    """iOS 16: scale * (quantized_data - zero_point), scalars or one of each along the axis."""
    return dequantize(quantized_data, scale, zero_point, axis)


def constexpr_blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """iOS 18: scale * (data - offset), where each of them holds for a block of the data."""
    values = data.float()
    if offset is not None:
        values = values - _repeat(offset.float(), data.shape)
    return values * _repeat(scale, data.shape)


def constexpr_cast(source_val: Tensor, output_dtype: str) -> Tensor:
    """iOS 16: constants of 16 bits for use in 32."""
    return source_val.to(format_of(output_dtype).torch)


def constexpr_lut_to_dense(
    indices: Tensor, lut: Tensor, shape: Sequence[int] | None = None, vector_axis: int | None = None
) -> Tensor:
    """Palettes.

    iOS 16 gives ``shape``: the indices lie packed in bytes, least significant bit first, and there is one palette.
    iOS 18 does not: the indices are of the result's shape, but for the ``vector_axis`` along which each stands for
    several values; the palettes are of the shape blocks of each dimension x palette entries x values of an entry.
    """
    if shape is not None:
        bits = int(math.log2(len(lut)))
        unpacked = unpack_bits(indices.numpy(), bits, math.prod(shape))
        return lut[torch.from_numpy(unpacked).long()].reshape(list(shape))
    palettes = _repeat(lut, indices.shape)
    entries = palettes.shape[-1]
    chosen = indices.long()[..., None, None].expand(*indices.shape, 1, entries)
    values = palettes.gather(-2, chosen).squeeze(-2)  # indices' shape x values of an entry
    if entries == 1 or vector_axis is None:
        return values.squeeze(-1)
    axis = vector_axis % indices.dim()
    return values.movedim(-1, axis + 1).flatten(axis, axis + 1)


def constexpr_sparse_to_dense(nonzero_data: Tensor, mask: Tensor, shape: Sequence[int] | None = None) -> Tensor:
    """Values where the mask is set, zeros elsewhere; iOS 16 gives ``shape`` and packs eight places to a byte."""
    if shape is not None:
        places = torch.from_numpy(unpack_bits(mask.numpy(), 1, math.prod(shape))).reshape(list(shape))
    else:
        places = mask
    result = torch.zeros(places.shape, dtype=nonzero_data.dtype)
    result[places.bool()] = nonzero_data
    return result


def constexpr_lut_to_sparse(
    indices_mask: Tensor, indices_nonzero_data: Tensor, lut: Tensor, vector_axis: int | None = None
) -> tuple[Tensor, Tensor]:
    """iOS 18: a palette for the values of a sparse tensor; gives its mask and values."""
    dense = constexpr_lut_to_dense(
        constexpr_sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis=vector_axis
    )
    mask = indices_mask
    if vector_axis is not None:
        mask = mask.repeat_interleave(lut.shape[-1], dim=vector_axis)
    return mask, dense[mask.bool()]


def constexpr_sparse_blockwise_shift_scale(
    data_mask: Tensor, nonzero_data: Tensor, scale: Tensor, offset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """iOS 18: scale and offset for the values of a sparse tensor; gives its mask and values."""
    dense = constexpr_blockwise_shift_scale(constexpr_sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask.bool()]


def _repeat(blocks: Tensor, shape: Sequence[int]) -> Tensor:
    """Each value as often as its block is long, along the first dimensions."""
    for axis, side in enumerate(shape):
        if blocks.shape[axis] != side:
            blocks = blocks.repeat_interleave(side // blocks.shape[axis], dim=axis)
    return blocks


OPERATIONS: dict[str, Callable[..., Any]] = {
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "constexpr_blockwise_shift_scale": constexpr_blockwise_shift_scale,
    "constexpr_cast": constexpr_cast,
    "constexpr_lut_to_dense": constexpr_lut_to_dense,
    "constexpr_lut_to_sparse": constexpr_lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": constexpr_sparse_blockwise_shift_scale,
    "constexpr_sparse_to_dense": constexpr_sparse_to_dense,
}
