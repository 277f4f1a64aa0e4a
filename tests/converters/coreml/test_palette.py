"""Palettes against SciPy's k-means."""

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from mobiledet_converters.coreml.palette import find_palette, suits_palette

RNG = np.random.default_rng(0)
WEIGHTS = {
    "normal": RNG.normal(size=(64, 48, 1, 1)) * 0.1,
    "peaked": RNG.laplace(size=4000),
    "many zeros": np.concatenate([np.zeros(3000), RNG.normal(size=2000)]),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_error_is_that_of_scipy(name: str) -> None:
    weights = WEIGHTS[name].astype(np.float16)
    palette, indices = find_palette(weights, bits=6)
    assert (palette.shape, palette.dtype, indices.dtype) == ((64,), np.float16, np.uint8)
    flat = weights.reshape(-1).astype(float)
    error = np.square(palette[indices].astype(float) - flat).mean()
    centres, labels = kmeans2(flat[:, None], 64, minit="++", seed=1, iter=60)
    assert error < 1.05 * np.square(centres[labels, 0] - flat).mean()


def test_each_weight_has_the_nearest_value() -> None:
    weights = WEIGHTS["peaked"].astype(np.float32)
    palette, indices = find_palette(weights, bits=4)
    nearest = np.abs(weights[:, None] - palette).min(axis=1)
    np.testing.assert_allclose(np.abs(weights - palette[indices]), nearest, atol=1e-6)


@pytest.mark.parametrize("values", [[0.5], [3.0, -1.0, 3.0, 0.25], list(np.arange(64))])
def test_few_values_are_kept_as_they_are(values: list[float]) -> None:
    weights = np.array(values, np.float16)
    palette, indices = find_palette(weights, bits=6)
    np.testing.assert_array_equal(palette[indices], weights)
    assert len(palette) == 64


def test_channels_of_other_ranges_want_scales_of_their_own() -> None:
    weights = RNG.normal(size=(64, 1, 3, 3))
    assert suits_palette(weights, bits=6)
    weights[::4] /= 200
    assert not suits_palette(weights, bits=6)
    weights[::4] = 0  # nothing is lost of what is not there
    assert suits_palette(weights, bits=6)
    assert suits_palette(np.zeros((8, 64)), bits=6)
