"""Where pictures lie in inputs, against Pillow's own letterbox and against pixels."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from mobiledet.data.resize import resize, resize_to_input
from mobiledet.detections import Detections
from mobiledet.placement import Placement
from mobiledet.spec import InputSpec

RNG = np.random.default_rng(8)
SIZES = [(480, 640), (640, 480), (500, 333), (96, 160), (48, 80), (1, 1), (1, 3000), (3000, 2), (3024, 4032), (97, 161)]
INPUTS = [(96, 160), (160, 96), (320, 320), (161, 97)]


def letterbox(height: int, width: int, **options: Any) -> InputSpec:
    return InputSpec(height, width, resize="letterbox", **options)


def found(boxes: Any) -> Detections:
    values = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Detections(values, np.linspace(1, 0.5, len(values), dtype=np.float32), np.arange(len(values)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("into", INPUTS)
def test_the_part_is_that_of_pillow(size: tuple[int, int], into: tuple[int, int]) -> None:
    black = Image.fromarray(np.zeros((*size, 3), np.uint8))
    for place, middle in (("centre", (0.5, 0.5)), ("top-left", (0.0, 0.0))):
        spec = letterbox(*into, placement=place)
        placement = Placement.of(*size, spec)
        white = np.asarray(ImageOps.pad(black, into[::-1], color=(255, 255, 255), centering=middle))
        rows, columns = (np.flatnonzero((white[..., 0] < 128).any(axis=axis)) for axis in (1, 0))
        if min(size) * max(into) / max(size) > 1:  # a side below a pixel is one here, none there
            theirs = rows[0], columns[0], len(rows), len(columns)
            # where a side or a margin is a whole number and a half Pillow takes the even neighbour
            assert np.abs(np.subtract(theirs, placement[2:6])).max() <= 1
        shown = (resize_to_input(np.asarray(black), spec) < 60).all(axis=2)
        inside = np.zeros(into, bool)
        inside[placement.top : placement.top + placement.height, placement.left :][:, : placement.width] = True
        np.testing.assert_array_equal(shown, inside)


def test_halves_are_rounded_up_and_the_odd_pixel_is_below() -> None:
    assert Placement.of(65, 130, letterbox(64, 65))[2:6] == (15, 0, 33, 65)  # 32.5 rows, 31 to spare
    assert Placement.of(130, 65, letterbox(65, 64))[2:6] == (0, 15, 65, 33)
    assert Placement.of(65, 130, letterbox(64, 65, placement="top-left"))[2:6] == (0, 0, 33, 65)
    assert Placement.of(8.125, 16.25, letterbox(64, 65))[2:6] == (15, 0, 33, 65)  # shortened by eight, the same


@pytest.mark.parametrize(("padding", "colour"), [("grey", 114), ("black", 0)])
def test_the_content_is_resized_as_ever(padding: Any, colour: int) -> None:
    image = RNG.integers(0, 256, (333, 500, 3)).astype(np.uint8)
    made = resize_to_input(image, letterbox(96, 96, padding=padding))
    np.testing.assert_array_equal(made[16:80], resize(image, 64, 96))
    assert (made[:16] == colour).all()
    assert (made[80:] == colour).all()


def test_a_picture_of_the_inputs_size_is_the_input() -> None:
    image = RNG.integers(0, 256, (96, 160, 3)).astype(np.uint8)
    assert resize_to_input(image, letterbox(96, 160)) is image


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("into", INPUTS)
@pytest.mark.parametrize("rule", ["stretch", "letterbox"])
def test_boxes_go_there_and_back(size: tuple[int, int], into: tuple[int, int], rule: Any) -> None:
    placement = Placement.of(*size, InputSpec(*into, resize=rule))
    boxes = np.sort(RNG.uniform(0, 1, (6, 2, 2)), axis=1).reshape(-1, 4) * (size[::-1] * 2)
    in_input = placement.to_input(boxes)
    fractions = found(in_input / (into[::-1] * 2))
    back = placement.to_image(fractions)
    np.testing.assert_allclose(back.boxes_xyxy, boxes, atol=2e-5 * max(size))
    np.testing.assert_allclose(placement.from_image(back).boxes_xyxy, fractions.boxes_xyxy, atol=1e-5)


def test_a_stretch_multiplies_by_the_size_to_the_last_bit() -> None:
    boxes = RNG.uniform(0, 1, (50, 4)).astype(np.float32)
    placement = Placement.of(333, 500, InputSpec(97, 161))
    expected = boxes * np.array([500, 333] * 2, np.float32)
    np.testing.assert_array_equal(placement.to_image(found(boxes)).boxes_xyxy, expected)
    np.testing.assert_array_equal(placement.visible(found(expected)).boxes_xyxy, expected)


def test_what_lies_in_the_padding_is_left_out_and_boxes_are_cut() -> None:
    placement = Placement.of(100, 200, letterbox(96, 96))  # rows 24 to 72
    boxes = [[0, 0, 1, 1], [0.25, 0.125, 0.5, 0.5], [0.1, 0, 0.9, 0.25], [0, 0.8, 1, 1], [0.5, 0.5, 0.5, 0.6]]
    seen = placement.visible(placement.to_image(found(boxes)))
    np.testing.assert_allclose(seen.boxes_xyxy, [[0, 0, 200, 100], [50, 0, 100, 50]], atol=1e-5)
    assert seen.labels.tolist() == [0, 1]


@pytest.mark.parametrize("place", ["centre", "top-left"])
@pytest.mark.parametrize("size", [(200, 500), (500, 200)])
def test_a_box_found_in_the_pixels_of_the_input_lies_on_its_object(size: tuple[int, int], place: Any) -> None:
    spec = letterbox(96, 160, placement=place)
    image = np.full((*size, 3), 20, np.uint8)
    box = np.array([size[1] * 0.2, size[0] * 0.6, size[1] * 0.5, size[0] * 0.9])
    x1, y1, x2, y2 = box.astype(int)
    image[y1:y2, x1:x2] = (250, 20, 20)
    red = resize_to_input(image, spec)[..., 0].astype(int) - resize_to_input(image, spec)[..., 1] > 115
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    placement = Placement.of(*size, spec)
    back = placement.to_image(found(seen / (160, 96, 160, 96))).boxes_xyxy[0]
    np.testing.assert_allclose(back, box, atol=0.6 / placement.scale[0])
    np.testing.assert_allclose(placement.to_input(box[None])[0], seen, atol=0.6)
