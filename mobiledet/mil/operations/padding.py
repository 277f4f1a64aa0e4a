"""Padding of windows over spatial dimensions, as sections Conv and Pool of MIL share it."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

Pads = list[tuple[int, int]]  # of each spatial dimension: before and after


def window_pads(
    pad_type: str,
    pad: Sequence[int] | None,
    sizes: Sequence[int],
    windows: Sequence[int],
    strides: Sequence[int],
) -> Pads:
    """How much to pad each spatial dimension.

    Args:
        pad_type: ``valid``, ``custom``, ``same`` (as many results as ceil(size / stride); an odd row goes to the end)
            or ``same_lower`` (to the start).
        pad: before and after each dimension, for ``custom``.
        sizes: of the input.
        windows: of the kernel with its dilation.
        strides: of the window.
    """
    pad_type = pad_type.lower()
    if pad_type == "valid":
        return [(0, 0)] * len(sizes)
    if pad_type == "custom":
        given = pad or [0] * 2 * len(sizes)
        return list(zip(given[::2], given[1::2], strict=True))
    if pad_type not in ("same", "same_lower"):
        raise ValueError(f"pad_type {pad_type} is unknown")
    totals = [max(0, -(-n // s) * s - n + w - s) for n, w, s in zip(sizes, windows, strides, strict=True)]
    halves = [(total // 2, total - total // 2) for total in totals]
    return halves if pad_type == "same" else [(after, before) for before, after in halves]


def apply_pads(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """Pad the last dimensions with a value; negative amounts crop."""
    return F.pad(x, [amount for pair in reversed(pads) for amount in pair], value=value)


def is_even(pads: Pads) -> bool:
    """Whether before and after are equal everywhere."""
    return all(before == after for before, after in pads)
