"""Tests of the rule by which a picture becomes a model's input, against torch, numpy and Pillow."""

import importlib
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mobiledet.data.images import decode_for_input, load_for_input, load_rgb
from mobiledet.data.resize import resize, resize_to_input
from mobiledet.spec import InputSpec

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (30, 40, 3)).astype(np.uint8)
ORIENTATION_TAG = 0x0112


def bilinear_by_torch(image: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    tensor = torch.from_numpy(np.asarray(image, np.float32)).permute(2, 0, 1)[None]
    result = torch.nn.functional.interpolate(tensor, size, mode="bilinear", align_corners=False, antialias=False)
    return np.asarray(result[0].permute(1, 2, 0))


@pytest.mark.parametrize("size", [(64, 64), (16, 77), (30, 20), (31, 41)])
def test_less_than_half_the_size_is_plain_bilinear_as_in_torch(size: tuple[int, int]) -> None:
    image = PICTURE[:, : 2 * size[1] - 1]
    np.testing.assert_allclose(resize(image, *size), bilinear_by_torch(image, size), atol=1)
    np.testing.assert_allclose(resize(PICTURE, *size, "bilinear"), bilinear_by_torch(PICTURE, size), atol=1)


def test_resize_to_its_own_size_is_the_image_itself() -> None:
    assert resize(PICTURE, 30, 40) is PICTURE


@pytest.mark.parametrize(
    ("source", "target", "blocks"),
    [
        ((64, 64), (32, 32), (2, 2)),
        ((38, 1030), (19, 515), (2, 2)),  # what is left over of vectors of the processor
        ((38, 1030), (19, 1030), (2, 1)),
        ((38, 1030), (38, 515), (1, 2)),
        ((128, 66), (33, 32), (2, 2)),
        ((256, 100), (24, 60), (8, 1)),
        ((48, 96), (3, 4), (16, 16)),
    ],
)
def test_blocks_are_averaged_halves_up_then_stretched(
    source: tuple[int, int], target: tuple[int, int], blocks: tuple[int, int]
) -> None:
    image = RNG.integers(0, 256, (*source, 3)).astype(np.uint8)
    rows, columns = blocks
    means = image.reshape(source[0] // rows, rows, source[1] // columns, columns, 3).mean(axis=(1, 3))
    means = np.floor(means + 0.5)
    found = resize(image, *target)
    if means.shape[:2] == target:
        np.testing.assert_array_equal(found, means)
    else:
        np.testing.assert_allclose(found, bilinear_by_torch(means, target), atol=1)


@pytest.mark.parametrize("sides", [(801, 1199), (400, 321), (327, 640), (1283, 2047)])
def test_places_stay_where_they_are_whatever_the_sides(sides: tuple[int, int]) -> None:
    """A ramp is stretched to a ramp from edge to edge, also where the last block is a part of one."""
    height, width = sides
    ramp = np.broadcast_to((np.arange(width) + 0.5) / width * 250, (height, width))
    image = np.stack((ramp, ramp.T[:1].T.repeat(width, 1) * 0, np.full(sides, 9)), axis=2).round().astype(np.uint8)
    image[..., 1] = ((np.arange(height) + 0.5) / height * 250).round()[:, None]
    found = resize(image, 80, 100).astype(float)
    inner = slice(2, -2)
    np.testing.assert_allclose(found[5, inner, 0], ((np.arange(100) + 0.5) / 100 * 250)[inner], atol=1.1)
    np.testing.assert_allclose(found[inner, 5, 1], ((np.arange(80) + 0.5) / 80 * 250)[inner], atol=1.1)


@pytest.mark.parametrize("size", [(64, 64), (16, 77), (7, 20), (31, 41), (9, 9)])
@pytest.mark.parametrize("sides", [(30, 40), (37, 201), (1, 5), (128, 96)])
def test_a_plain_install_resizes_to_the_same_bits(
    sides: tuple[int, int], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = RNG.integers(0, 256, (*sides, 3)).astype(np.uint8)
    with_opencv = resize(image, *size)
    monkeypatch.setattr("mobiledet.data.resize.resizer", None)
    assert np.array_equal(resize(image, *size), with_opencv)


@pytest.mark.parametrize(
    ("machine", "is_used"), [("x86_64", True), ("AMD64", True), ("aarch64", False), ("arm64", False)]
)
def test_opencv_resizes_where_it_gives_the_same_bits(
    machine: str, is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On emulated ARM the wheel of OpenCV 5.0 gives up to 39 % of the pixels a value that is off by one."""
    monkeypatch.setattr("platform.machine", lambda: machine)
    there = runpy.run_path(importlib.import_module("mobiledet.data.resize").__file__ or "")
    assert (there["resizer"] is cv2) == is_used


def test_noise_is_averaged_away() -> None:
    noise = np.clip(RNG.normal(128, 60, (1024, 768, 3)), 0, 255).astype(np.uint8)
    area = cv2.resize(noise, (60, 80), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(resize(noise, 80, 60) - area).mean() < 4
    assert np.abs(resize(noise, 80, 60, "bilinear") - area).mean() > 20


def photograph(height: int, width: int) -> Image.Image:
    smooth = cv2.resize(RNG.integers(0, 256, (height // 12, width // 12, 3)).astype(np.uint8), (width, height))
    return Image.fromarray(np.clip(smooth + RNG.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("sides", [(800, 1200), (801, 1203)])
def test_jpeg_is_decoded_no_larger_than_needed_and_gives_about_the_same(
    tmp_path: Path, sides: tuple[int, int], orientation: int
) -> None:
    picture = photograph(*sides)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    picture.save(tmp_path / "a.jpg", quality=92, exif=exif)
    picture.save(tmp_path / "a.png", exif=exif)
    spec = InputSpec(96, 128)
    full = load_rgb(tmp_path / "a.jpg", apply_orientation=True)
    decoded = load_for_input(tmp_path / "a.jpg", spec, apply_orientation=True)
    assert (decoded.height, decoded.width) == full.shape[:2]
    blocks_fit = orientation == 1 or sides == (800, 1200)
    assert decoded.factor == (8 if blocks_fit and orientation not in (6, 8) else 1)  # turned, by 4 alone
    assert decoded.pixels.shape[0] == -(-full.shape[0] // decoded.factor)
    difference = np.abs(resize_to_input(decoded.pixels, spec, decoded.extent).astype(int) - resize_to_input(full, spec))
    assert difference.mean() < 1.5
    stored = load_for_input(tmp_path / "a.png", spec, apply_orientation=True)  # nothing but a JPEG is shortened
    np.testing.assert_array_equal(stored.pixels, load_rgb(tmp_path / "a.png", apply_orientation=True))


def test_bundles_from_before_there_was_a_choice_keep_the_four_pixels(tmp_path: Path) -> None:
    photograph(400, 600).save(tmp_path / "a.jpg", quality=92)
    spec = InputSpec(96, 128, sampling="bilinear")
    decoded = decode_for_input((tmp_path / "a.jpg").read_bytes(), "a.jpg", spec)
    expected = cv2.resize(load_rgb(tmp_path / "a.jpg"), (128, 96), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resize_to_input(decoded.pixels, spec, decoded.extent), expected)
