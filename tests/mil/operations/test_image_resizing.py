"""Resizing against SciPy's interpolation at the places that MIL's definition lists, and against PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates

from mobiledet.mil.operations.sampling import sample_points

Run = Callable[..., list[np.ndarray]]

X = np.random.default_rng(5).normal(size=(2, 3, 5, 7)).astype(np.float32)
MODES = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS")


def at(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, **options: Any) -> np.ndarray:
    """Linear interpolation of each channel on a grid of rows and columns, or at pairs of them if they are 2-D."""
    grid = np.meshgrid(rows, columns, indexing="ij") if rows.ndim == 1 else (rows, columns)
    result = [map_coordinates(plane.astype(float), grid, order=1, **options) for plane in x.reshape(-1, *x.shape[-2:])]
    return np.stack(result).reshape(*x.shape[:-2], *grid[0].shape)


# the tables in the documentation of resize_bilinear, of two pixels
DOCUMENTED = {
    ("UNALIGN_CORNERS", 5): [0, 0.1, 0.5, 0.9, 1],
    ("STRICT_ALIGN_CORNERS", 5): [0, 0.25, 0.5, 0.75, 1],
    ("ALIGN_CORNERS", 5): [0, 0.25, 0.5, 0.75, 1],
    ("DEFAULT", 5): [0, 0.4, 0.8, 1, 1],
    ("OFFSET_CORNERS", 5): [0.1, 0.3, 0.5, 0.7, 0.9],
    ("UNALIGN_CORNERS", 6): [0, 0, 1 / 3, 2 / 3, 1, 1],
    ("STRICT_ALIGN_CORNERS", 6): [0, 0.2, 0.4, 0.6, 0.8, 1],
    ("DEFAULT", 6): [0, 1 / 3, 2 / 3, 1, 1, 1],
    ("OFFSET_CORNERS", 6): [1 / 12, 3 / 12, 5 / 12, 7 / 12, 9 / 12, 11 / 12],
}


@pytest.mark.parametrize(("mode", "count"), DOCUMENTED)
def test_documented_places(mode: str, count: int) -> None:
    np.testing.assert_allclose(sample_points(2, count, mode), DOCUMENTED[mode, count], atol=1e-12)


def test_single_sample() -> None:
    assert sample_points(5, 1, "ALIGN_CORNERS").tolist() == [2]
    assert sample_points(5, 1, "STRICT_ALIGN_CORNERS").tolist() == [0]


def test_bilinear(run: Run, mil: Any) -> None:
    sizes = [(8, 4), (5, 7), (3, 20)]
    found = run(
        lambda x: [
            mil.mb.resize_bilinear(x=x, target_size_height=h, target_size_width=w, sampling_mode=mode)
            for h, w in sizes
            for mode in MODES
        ],
        X,
    )
    cases = [(h, w, mode) for h, w in sizes for mode in MODES]
    for (h, w, mode), result in zip(cases, found, strict=True):
        rows, columns = sample_points(5, h, mode).numpy(), sample_points(7, w, mode).numpy()
        np.testing.assert_allclose(result, at(X, rows, columns), rtol=1e-4, atol=1e-5)
        if mode in ("ALIGN_CORNERS", "UNALIGN_CORNERS"):
            expected = F.interpolate(torch.from_numpy(X), (h, w), mode="bilinear", align_corners=mode[0] == "A")
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_upsampling_is_pytorchs(run: Run, mil: Any) -> None:
    found = run(
        lambda x: [
            mil.mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
            mil.mb.upsample_nearest_neighbor(x=x, scale_factor_height=1.6, scale_factor_width=0.5),
            mil.mb.resize_nearest_neighbor(x=x, target_size_height=9, target_size_width=4),
            mil.mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=3, align_corners=True),
            mil.mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=3, align_corners=False),
        ],
        X,
    )
    x = torch.from_numpy(X)
    expected = [
        F.interpolate(x, scale_factor=(2, 3)),
        F.interpolate(x, scale_factor=(1.6, 0.5)),
        F.interpolate(x, size=(9, 4)),
        F.interpolate(x, scale_factor=(2, 3), mode="bilinear", align_corners=True),
        F.interpolate(x, scale_factor=(2, 3), mode="bilinear", align_corners=False),
    ]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_resize(run: Run, mil: Any) -> None:
    linear, near, one_side, kept = run(
        lambda x: [
            mil.mb.resize(x=x, shape=[8, 4], resized_dims=np.uint32(2), sampling_mode="UNALIGN_CORNERS"),
            mil.mb.resize(
                x=x,
                shape=[8, 4],
                resized_dims=np.uint32(2),
                interpolation_mode="NEAREST_NEIGHBOR",
                sampling_mode="UNALIGN_CORNERS",
            ),
            mil.mb.resize(x=x, shape=[9, 14], resized_dims=np.uint32(1), interpolation_mode="NEAREST_NEIGHBOR"),
            mil.mb.resize(x=x, shape=[10, 0], resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR"),
        ],
        X,
    )
    x = torch.from_numpy(X)
    np.testing.assert_allclose(linear, F.interpolate(x, (8, 4), mode="bilinear"), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(near, F.interpolate(x, (8, 4), mode="nearest-exact"))
    np.testing.assert_array_equal(one_side, F.interpolate(x, (5, 14)))
    np.testing.assert_array_equal(kept, F.interpolate(x, (10, 7)))


def test_crop(run: Run, mil: Any) -> None:
    (found,) = run(lambda x: mil.mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 3]), X)
    np.testing.assert_array_equal(found, X[:, :, 1:-2, :-3])


@pytest.mark.parametrize(
    ("padding_mode", "scipy_mode"),
    [("constant", "grid-constant"), ("border", "nearest"), ("reflection", "mirror"), ("symmetric", "reflect")],
)
def test_resample_outside(run: Run, mil: Any, padding_mode: str, scipy_mode: str) -> None:
    places = np.random.default_rng(6).uniform(-4, 10, (2, 4, 3, 2)).astype(np.float32)
    (found,) = run(
        lambda x, places: mil.mb.resample(
            x=x,
            coordinates=places,
            sampling_mode="bilinear",
            padding_mode=padding_mode,
            padding_value=0.5,
            coordinates_mode="unnormalized",
            align_corners=True,
        ),
        X,
        places,
    )
    expected = [at(x, p[..., 1], p[..., 0], mode=scipy_mode, cval=0.5) for x, p in zip(X, places, strict=True)]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("start", [-1.0, 0.0])
def test_resample_of_normalised_places(run: Run, mil: Any, align_corners: bool, start: float) -> None:
    places = np.random.default_rng(7).uniform(start, 1, (2, 4, 3, 2)).astype(np.float32)
    found = run(
        lambda x, places: [
            mil.mb.resample(
                x=x,
                coordinates=places,
                sampling_mode=mode,
                padding_mode="constant",
                padding_value=0.0,
                coordinates_mode="normalized_minus_one_to_one" if start else "normalized_zero_to_one",
                align_corners=align_corners,
            )
            for mode in ("bilinear", "nearest")
        ],
        X,
        places,
    )
    grid = torch.from_numpy(places if start else 2 * places - 1)
    for mode, result in zip(("bilinear", "nearest"), found, strict=True):
        expected = F.grid_sample(torch.from_numpy(X), grid, mode, "zeros", align_corners)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_affine(run: Run, mil: Any) -> None:
    matrix = np.array([[0.5, 0.1, 0.2, -0.2, 0.8, -0.1]], np.float32)
    (found,) = run(
        lambda x: mil.mb.affine(
            x=x,
            transform_matrix=matrix,
            output_height=4,
            output_width=6,
            sampling_mode="bilinear",
            padding_mode="constant",
            padding_value=0.0,
            coordinates_mode="normalized_minus_one_to_one",
            align_corners=True,
        ),
        X,
    )
    v, u = np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 6), indexing="ij")
    columns, rows = (np.array(m) @ np.array([u, v, np.ones_like(u)]).reshape(3, -1) for m in matrix.reshape(2, 3))
    rows, columns = ((rows + 1) / 2 * 4).reshape(4, 6), ((columns + 1) / 2 * 6).reshape(4, 6)
    np.testing.assert_allclose(found, at(X, rows, columns, mode="grid-constant"), rtol=1e-4, atol=1e-4)
