"""MIL's number formats, and the torch types that store them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mobiledet.errors import UserError


@dataclass(frozen=True)
class NumberFormat:
    """One of MIL's data types.

    Attributes:
        torch: what holds its values. 16-bit floats are held in 32 bits, because a CPU's 16-bit convolutions take
            fifteen times as long; their results are rounded instead. Unsigned integers are held in the next longer
            signed type, for want of torch operations on them.
        numpy: type of stored values, at least one byte each.
        bits: number of bits of a stored value.
    """

    torch: torch.dtype
    numpy: type[np.generic]
    bits: int


# name in MIL's DataType -> format
FORMATS = {
    "BOOL": NumberFormat(torch.bool, np.bool_, 8),
    "FLOAT16": NumberFormat(torch.float32, np.float16, 16),
    "FLOAT32": NumberFormat(torch.float32, np.float32, 32),
    "FLOAT64": NumberFormat(torch.float64, np.float64, 64),
    "INT8": NumberFormat(torch.int8, np.int8, 8),
    "INT16": NumberFormat(torch.int16, np.int16, 16),
    "INT32": NumberFormat(torch.int32, np.int32, 32),
    "INT64": NumberFormat(torch.int64, np.int64, 64),
    "INT4": NumberFormat(torch.int8, np.int8, 4),
    "UINT8": NumberFormat(torch.uint8, np.uint8, 8),
    "UINT16": NumberFormat(torch.int32, np.uint16, 16),
    "UINT32": NumberFormat(torch.int64, np.uint32, 32),
    **{f"UINT{bits}": NumberFormat(torch.uint8, np.uint8, bits) for bits in (1, 2, 3, 4, 6)},
}
# name in the ``dtype`` inputs of operations -> name in MIL's DataType
NAMES = {
    **{name.lower(): name for name in FORMATS},
    **{f"fp{bits}": f"FLOAT{bits}" for bits in (16, 32, 64)},
}

Conform = Callable[[Tensor], Tensor]


def format_of(name: str) -> NumberFormat:
    """The format for a name in the input of an operation, such as ``fp16``.

    Raises:
        UserError: the name is unknown.
    """
    if name.lower() not in NAMES:
        raise UserError(f"unknown number format {name!r}")
    return FORMATS[NAMES[name.lower()]]


def conform_to(name: str, shape: Sequence[int | None] | None, round_float16: bool) -> Conform:
    """A function that converts the result of a kernel to the declared type.

    Args:
        name: name of MIL's DataType.
        shape: declared shape; None for a dimension, or for all, that is known only at run time.
        round_float16: round to the 16-bit numbers; else they keep 32 bits.
    """
    dtype = FORMATS[name].torch
    rounds = name == "FLOAT16" and round_float16
    mask = {"UINT16": 0xFFFF, "UINT32": 0xFFFFFFFF}.get(name)

    def conform(values: Tensor) -> Tensor:
        if rounds:
            values = values.half()
        if values.dtype != dtype:
            values = values.to(dtype)
        if mask is not None:
            values = values & mask
        if shape is not None and not _fits(values.shape, shape):
            raise ValueError(f"gives {tuple(values.shape)} where {tuple(shape)} is declared")
        return values

    return conform


def _fits(shape: Sequence[int], declared: Sequence[int | None]) -> bool:
    return len(shape) == len(declared) and all(d is None or s == d for s, d in zip(shape, declared, strict=True))


def unpack_bits(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Unpack unsigned numbers of ``bits`` bits that are densely packed in bytes, least significant bit first."""
    flat = np.unpackbits(packed.view(np.uint8), bitorder="little")[: bits * count].reshape(count, bits)
    return (flat << np.arange(bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)


def sign_extend(values: np.ndarray, bits: int) -> np.ndarray:
    """Interpret unsigned numbers of ``bits`` bits as two's complement."""
    return ((values.astype(np.int16) ^ (1 << (bits - 1))) - (1 << (bits - 1))).astype(np.int8)


def to_tensor(values: Any, name: str) -> Tensor:
    """Convert a NumPy array of the MIL type ``name`` to a tensor."""
    values = np.asarray(values, FORMATS[name].numpy)
    if name in ("UINT16", "UINT32"):  # torch supports few operations on them
        values = values.astype(np.int64)
    return torch.from_numpy(np.array(values)).to(FORMATS[name].torch)
