"""Convolutions against loops over the window, and against PyTorch where the meaning is the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import correlate

Run = Callable[..., list[np.ndarray]]

RNG = np.random.default_rng(3)


def same_pads(size: int, window: int, stride: int) -> tuple[int, int]:
    """Of TensorFlow's SAME: ceil(size / stride) results, an odd row at the end."""
    total = max((int(np.ceil(size / stride)) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def direct(x: np.ndarray, weight: np.ndarray, pads: list[tuple[int, int]], strides: list[int]) -> np.ndarray:
    """Correlation of every pair of channels by SciPy."""
    padded = np.pad(x, [(0, 0), (0, 0), *pads])
    result = [
        [sum(correlate(image[c], kernel[c], "valid") for c in range(len(kernel))) for kernel in weight]
        for image in padded
    ]
    return np.array(result)[(slice(None), slice(None), *(slice(None, None, s) for s in strides))]


@pytest.mark.parametrize("size", [(7, 8), (6, 5)])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((3, 3), (2, 2)), ((4, 2), (1, 3)), ((1, 5), (2, 1)), ((2, 2), (3, 3))]
)
def test_padding_types(
    run: Run, mil: Any, size: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int]
) -> None:
    x = RNG.normal(size=(2, 3, *size)).astype(np.float32)
    weight = RNG.normal(size=(4, 3, *kernel)).astype(np.float32)
    same = [same_pads(n, w, s) for n, w, s in zip(size, kernel, strides, strict=True)]
    lower = [(after, before) for before, after in same]
    pads = {"valid": [(0, 0), (0, 0)], "same": same, "same_lower": lower, "custom": [(1, 2), (0, 3)]}
    found = run(
        lambda x: [
            mil.mb.conv(
                x=x,
                weight=weight,
                strides=strides,
                pad_type=kind,
                **({"pad": [1, 2, 0, 3]} if kind == "custom" else {}),
            )
            for kind in pads
        ],
        x,
    )
    for result, amounts in zip(found, pads.values(), strict=True):
        np.testing.assert_allclose(result, direct(x, weight, amounts, list(strides)), rtol=1e-4, atol=1e-5)


def test_groups_dilations_and_bias(run: Run, mil: Any) -> None:
    x, weight = (RNG.normal(size=s).astype(np.float32) for s in ((1, 6, 9, 9), (4, 3, 3, 3)))
    bias = np.arange(4, dtype=np.float32)
    (found,) = run(lambda x: mil.mb.conv(x=x, weight=weight, bias=bias, dilations=[2, 1], groups=2, pad_type="same"), x)
    spread = np.zeros((4, 3, 5, 3), np.float32)
    spread[:, :, ::2] = weight
    halves = [direct(x[:, 3 * g : 3 * g + 3], spread[2 * g : 2 * g + 2], [(2, 2), (1, 1)], [1, 1]) for g in (0, 1)]
    np.testing.assert_allclose(found, np.concatenate(halves, 1) + bias[:, None, None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3])
def test_lines_and_volumes(run: Run, mil: Any, rank: int) -> None:
    x = RNG.normal(size=(1, 2, *(6, 5, 4)[:rank])).astype(np.float32)
    weight = RNG.normal(size=(3, 2, *(3, 2, 3)[:rank])).astype(np.float32)
    (found,) = run(lambda x: mil.mb.conv(x=x, weight=weight, pad_type="valid"), x)
    np.testing.assert_allclose(found, direct(x, weight, [(0, 0)] * rank, [1] * rank), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("padding", "extra"), [(0, 0), (1, 0), (1, 1)])
def test_transposed(run: Run, mil: Any, padding: int, extra: int) -> None:
    x, weight = (RNG.normal(size=s).astype(np.float32) for s in ((1, 4, 5, 6), (4, 2, 3, 3)))
    bias = np.arange(6, dtype=np.float32)[:4]
    expected = F.conv_transpose2d(
        torch.from_numpy(x), torch.from_numpy(weight), torch.from_numpy(bias), 2, padding, extra, groups=2
    ).numpy()
    shape = {"output_shape": expected.shape} if extra else {}
    (found,) = run(
        lambda x: mil.mb.conv_transpose(
            x=x, weight=weight, bias=bias, strides=[2, 2], pad_type="custom", pad=[padding] * 4, groups=2, **shape
        ),
        x,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_transposed_same_is_the_adjoint_of_same(run: Run, mil: Any, kernel: int) -> None:
    """<conv(x), y> = <x, conv_transpose(y)>."""
    x, y = (RNG.normal(size=s).astype(np.float32) for s in ((1, 2, 8, 6), (1, 3, 4, 3)))
    weight = RNG.normal(size=(3, 2, kernel, kernel)).astype(np.float32)
    forward, backward = run(
        lambda x, y: [
            mil.mb.conv(x=x, weight=weight, strides=[2, 2], pad_type="same"),
            mil.mb.conv_transpose(x=y, weight=weight, strides=[2, 2], pad_type="same"),
        ],
        x,
        y,
    )
    assert backward.shape == x.shape
    np.testing.assert_allclose((forward * y).sum(), (x * backward).sum(), rtol=1e-4)
