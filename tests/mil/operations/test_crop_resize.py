"""``crop_resize`` against SciPy's interpolation, torchvision's RoIAlign and the formula of TensorFlow's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torchvision.ops import roi_align

Run = Callable[..., list[np.ndarray]]

RNG = np.random.default_rng(8)
X = RNG.normal(size=(2, 3, 12, 10)).astype(np.float32)
BOXES = np.array([[1, 2, 8, 9], [0.5, 0.25, 3, 6.5], [4, 4, 11, 8]], np.float32)  # y1 x1 y2 x2, inside
NUMBERS = np.array([0, 1, 1], np.int32)


def crops(boxes: np.ndarray, places: Callable[[float, float, int], np.ndarray], pad: float = 0.0) -> np.ndarray:
    result = []
    for number, (y1, x1, y2, x2) in zip(NUMBERS, boxes, strict=True):
        grid = np.meshgrid(places(y1, y2, 4), places(x1, x2, 5), indexing="ij")
        result.append([map_coordinates(plane.astype(float), grid, order=1, cval=pad) for plane in X[number]])
    return np.array(result)


PLACES: dict[str, Callable[[float, float, int], np.ndarray]] = {
    "ALIGN_CORNERS": lambda a, b, n: np.linspace(a, b, n),
    "STRICT_ALIGN_CORNERS": lambda a, b, n: np.linspace(a, b, n),
    "DEFAULT": lambda a, b, n: a + np.arange(n) * (b - a + 1) / n,
    "UNALIGN_CORNERS": lambda a, b, n: a + (np.arange(n) + 0.5) * (b - a + 1) / n - 0.5,
    "OFFSET_CORNERS": lambda a, b, n: a + (np.arange(n) + 0.5) * max(b - a, 1) / n,
}


@pytest.mark.parametrize("mode", PLACES)
def test_sampling_modes(run: Run, mil: Any, mode: str) -> None:
    (found,) = run(
        lambda x, boxes: mil.mb.crop_resize(
            x=x, boxes=boxes, box_indices=NUMBERS, target_height=4, target_width=5, sampling_mode=mode, pad_value=0.5
        ),
        X,
        BOXES,
    )
    np.testing.assert_allclose(found, crops(BOXES, PLACES[mode], 0.5), rtol=1e-4, atol=1e-4)


def test_box_coordinates(run: Run, mil: Any) -> None:
    centred = np.concatenate([(BOXES[:, :2] + BOXES[:, 2:]) / 2, BOXES[:, 2:] - BOXES[:, :2]], 1)
    forms = {
        "CORNERS_HEIGHT_FIRST": BOXES,
        "CORNERS_WIDTH_FIRST": BOXES[:, [1, 0, 3, 2]],
        "CENTER_SIZE_HEIGHT_FIRST": centred,
        "CENTER_SIZE_WIDTH_FIRST": centred[:, [1, 0, 3, 2]],
    }
    found = run(
        lambda x: [
            mil.mb.crop_resize(
                x=x,
                boxes=2 * boxes,
                box_indices=NUMBERS,
                target_height=4,
                target_width=5,
                sampling_mode="ALIGN_CORNERS",
                box_coordinate_mode=form,
                spatial_scale=0.5,
            )
            for form, boxes in forms.items()
        ],
        X,
    )
    expected = crops(BOXES, PLACES["ALIGN_CORNERS"])
    for result in found:
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_offset_corners_is_roi_align_with_one_sample(run: Run, mil: Any) -> None:
    (found,) = run(
        lambda x: mil.mb.crop_resize(
            x=x, boxes=BOXES, box_indices=NUMBERS, target_height=4, target_width=5, sampling_mode="OFFSET_CORNERS"
        ),
        X,
    )
    rois = np.concatenate([NUMBERS[:, None], BOXES[:, [1, 0, 3, 2]]], 1).astype(np.float32)
    expected = roi_align(torch.from_numpy(X), torch.from_numpy(rois), (4, 5), sampling_ratio=1, aligned=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_outside_is_padding_as_in_tensorflow(run: Run, mil: Any) -> None:
    """tf.image.crop_and_resize: samples beyond the centre of the first or last pixel are the extrapolation value."""
    boxes = np.array([[-0.25, 0.5, 1.25, 1.5]], np.float32)
    (found,) = run(
        lambda x: mil.mb.crop_resize(
            x=x,
            boxes=boxes,
            box_indices=NUMBERS[:1],
            target_height=4,
            target_width=3,
            normalized_coordinates=True,
            sampling_mode="ALIGN_CORNERS",
            pad_value=-7.0,
        ),
        X,
    )
    rows, columns = np.linspace(-0.25, 1.25, 4) * 11, np.linspace(0.5, 1.5, 3) * 9
    grid = np.meshgrid(rows, columns, indexing="ij")
    inside = (grid[0] >= 0) & (grid[0] <= 11) & (grid[1] <= 9)
    assert 0 < inside.sum() < inside.size
    for channel in range(3):
        expected = np.where(inside, map_coordinates(X[0, channel].astype(float), grid, order=1, mode="nearest"), -7)
        np.testing.assert_allclose(found[0, channel], expected, rtol=1e-4, atol=1e-4)


def test_regions_up_to_ios16(run: Run, mil: Any) -> None:
    """With numbers in one image, for coremltools declares another shape for more; without them in all images."""
    numbered = np.concatenate([np.zeros((3, 1)), BOXES], 1).astype(np.float32).reshape(3, 1, 5, 1, 1)
    options: dict[str, Any] = {"target_height": 4, "target_width": 5, "sampling_mode": "ALIGN_CORNERS"}
    one, every = run(
        lambda x: [
            mil.mb.crop_resize(
                x=mil.mb.slice_by_size(x=x, begin=[1, 0, 0, 0], size=[1, -1, -1, -1]), roi=numbered, **options
            ),
            mil.mb.crop_resize(x=x, roi=BOXES.reshape(3, 1, 4, 1, 1), **options),
        ],
        X,
        target="iOS16",
    )
    expected = crops(BOXES, PLACES["ALIGN_CORNERS"])
    assert (one.shape, every.shape) == ((3, 1, 3, 4, 5), (3, 2, 3, 4, 5))
    np.testing.assert_array_equal(one, every[:, 1:])
    for index, number in enumerate(NUMBERS):
        np.testing.assert_allclose(every[index, number], expected[index], rtol=1e-4, atol=1e-4)
