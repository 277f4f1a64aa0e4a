"""Integers against formulas in NumPy: ties, ends of the range, scales along an axis."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Run = Callable[..., list[np.ndarray]]

RNG = np.random.default_rng(9)


@pytest.mark.parametrize(("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 255)])
def test_halves_go_to_the_even_neighbour_and_ends_hold(run: Run, mil: Any, dtype: str, low: int, high: int) -> None:
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1e9, -1e9, 0.0], np.float32)
    (codes,) = run(
        lambda x: mil.mb.cast(x=mil.mb.quantize(input=x, scale=np.float32(1.0), output_dtype=dtype), dtype="int32"), x
    )
    expected = np.clip([-2, -2, 0, 0, 2, 2, high, low, 0], low, high)
    np.testing.assert_array_equal(codes, expected)


def test_zero_point_is_added_after_rounding(run: Run, mil: Any) -> None:
    """round(x / scale) + zero_point, not round(x / scale + zero_point): they differ at halves of odd zero points."""
    x = np.array([0.25, 0.75, 1.25, -0.25], np.float32)

    def build(x: Any) -> list[Any]:
        codes = mil.mb.quantize(input=x, scale=np.float32(0.5), zero_point=np.uint8(3), output_dtype="uint8")
        return [
            mil.mb.cast(x=codes, dtype="int32"),
            mil.mb.dequantize(input=codes, scale=np.float32(0.5), zero_point=np.uint8(3)),
        ]

    codes, values = run(build, x)
    np.testing.assert_array_equal(codes, [3, 5, 5, 3])
    np.testing.assert_array_equal(values, [0.0, 1.0, 1.0, 0.0])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scales_along_an_axis(run: Run, mil: Any, axis: int) -> None:
    x = RNG.normal(size=(3, 4, 5)).astype(np.float32)
    count = x.shape[axis]
    scale = np.linspace(0.01, 0.05, count, dtype=np.float32)
    zero_point = np.arange(count, dtype=np.int8)

    def build(x: Any) -> list[Any]:
        options = {"scale": scale, "zero_point": zero_point, "axis": axis}
        codes = mil.mb.quantize(input=x, output_dtype="int8", **options)
        return [mil.mb.cast(x=codes, dtype="int32"), mil.mb.dequantize(input=codes, **options)]

    codes, values = run(build, x)
    sides = [1, 1, 1]
    sides[axis] = count
    broadcast_scale, broadcast_zero = scale.reshape(sides), zero_point.reshape(sides).astype(int)
    expected = np.clip(np.rint(x / broadcast_scale) + broadcast_zero, -128, 127)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_allclose(values, (expected - broadcast_zero) * broadcast_scale, rtol=1e-6)
