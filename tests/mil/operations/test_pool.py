"""Pools against loops over windows in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

Run = Callable[..., list[np.ndarray]]

X = np.random.default_rng(4).normal(size=(2, 3, 7, 6)).astype(np.float32)


def windows(x: np.ndarray, kernel: tuple[int, int], strides: tuple[int, int], pads: Any, value: float) -> np.ndarray:
    """N x C x rows x columns x values under the window."""
    padded = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=value)
    views = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
    return views[:, :, :: strides[0], :: strides[1]].reshape(*views[:, :, :: strides[0], :: strides[1]].shape[:4], -1)


@pytest.mark.parametrize(
    ("pad_type", "pads"),
    [
        ("valid", [(0, 0), (0, 0)]),
        ("same", [(1, 1), (0, 1)]),
        ("same_lower", [(1, 1), (1, 0)]),
        ("custom", [(2, 1), (1, 0)]),
    ],
)
def test_padding_types(run: Run, mil: Any, pad_type: str, pads: list[tuple[int, int]]) -> None:
    kernel, strides = (3, 3), (2, 2)
    options: dict[str, Any] = {"kernel_sizes": kernel, "strides": strides, "pad_type": pad_type}
    if pad_type == "custom":
        options["pad"] = [amount for pair in pads for amount in pair]
    largest, mean, mean_inside, norm = run(
        lambda x: [
            mil.mb.max_pool(x=x, **options),
            mil.mb.avg_pool(x=x, exclude_padding_from_average=False, **options),
            mil.mb.avg_pool(x=x, exclude_padding_from_average=True, **options),
            mil.mb.l2_pool(x=x, **options),
        ],
        X,
    )
    zeros = windows(X, kernel, strides, pads, 0)
    nothing = windows(X, kernel, strides, pads, np.nan)
    np.testing.assert_array_equal(largest, np.nanmax(nothing, axis=-1))
    np.testing.assert_allclose(mean, zeros.mean(-1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean_inside, np.nanmean(nothing, axis=-1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm, np.sqrt(np.square(zeros).sum(-1)), rtol=1e-5, atol=1e-6)


def test_ceil_mode_is_pytorchs(run: Run, mil: Any) -> None:
    options: dict[str, Any] = {"kernel_sizes": [3, 2], "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 0, 0]}
    largest, mean = run(
        lambda x: [
            mil.mb.max_pool(x=x, ceil_mode=True, **options),
            mil.mb.avg_pool(x=x, ceil_mode=True, exclude_padding_from_average=True, **options),
        ],
        X,
    )
    x = torch.from_numpy(X)
    np.testing.assert_array_equal(largest, F.max_pool2d(x, (3, 2), 2, (1, 0), ceil_mode=True))
    expected = F.avg_pool2d(x, (3, 2), 2, (1, 0), ceil_mode=True, count_include_pad=False)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)


def test_padding_above_half_a_window(run: Run, mil: Any) -> None:
    options: dict[str, Any] = {"kernel_sizes": [2, 2], "strides": [3, 3], "pad_type": "custom", "pad": [2, 2, 2, 2]}
    (mean,) = run(lambda x: mil.mb.avg_pool(x=x, **options), X)
    expected = windows(X, (2, 2), (3, 3), [(2, 2), (2, 2)], 0).mean(-1)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
