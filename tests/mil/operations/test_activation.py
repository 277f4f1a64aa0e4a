"""Activations and choices that coremltools' value inference does not know, against SciPy and NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf, expit

Run = Callable[..., list[np.ndarray]]

X = np.linspace(-6, 6, 48, dtype=np.float32).reshape(2, 4, 6)


def test_gelu_in_its_three_forms(run: Run, mil: Any) -> None:
    exact, tanh, sigmoid = run(
        lambda x: [mil.mb.gelu(x=x, mode=m) for m in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")], X
    )
    np.testing.assert_allclose(exact, X / 2 * (1 + erf(X / np.sqrt(2))), rtol=1e-4, atol=1e-6)
    inner = np.sqrt(2 / np.pi) * (X + 0.044715 * X**3)
    np.testing.assert_allclose(tanh, X / 2 * (1 + np.tanh(inner)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(sigmoid, X * expit(1.702 * X), rtol=1e-4, atol=1e-6)


def test_silu(run: Run, mil: Any) -> None:
    (found,) = run(lambda x: mil.mb.silu(x=x), X)
    np.testing.assert_allclose(found, X * expit(X), rtol=1e-5)


def test_select_takes_from_either_side(run: Run, mil: Any) -> None:
    def build(x: Any) -> list[Any]:
        is_large = mil.mb.greater(x=x, y=np.float32(1.0))
        return [
            mil.mb.select(cond=is_large, a=x, b=mil.mb.mul(x=x, y=np.float32(-2.0))),
            mil.mb.cast(x=mil.mb.logical_not(x=is_large), dtype="fp32"),
        ]

    chosen, small = run(build, X)
    np.testing.assert_array_equal(chosen, np.where(X > 1, X, -2 * X))
    np.testing.assert_array_equal(small, X <= 1)
