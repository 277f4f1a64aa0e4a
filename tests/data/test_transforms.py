import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from mobiledet.data import transforms
from mobiledet.data.resize import resize_to_input
from mobiledet.data.transforms import Augmentation, augment, train_transform
from mobiledet.placement import Placement
from mobiledet.spec import Corner, InputSpec

HEIGHT, WIDTH = 120, 160
BOXES = np.array([[20, 30, 60, 70], [90, 10, 140, 40], [70, 70, 150, 110]], np.float32)
LABELS = np.array([0, 1, 2], np.int64)
PLAIN = Augmentation(colour_probability=0.0)
STILL = Augmentation(crop_probability=0.0, flip_probability=0.0, colour_probability=0.0)
SSD = Augmentation(
    crop_probability=0.0, zoom_out_probability=0.5, iou_crop_probability=1.0, min_visibility=0.0, colour_probability=0.5
)
NANODET = Augmentation(crop_probability=0.0, scale=(0.6, 1.4), stretch=(0.8, 1.2), shift=0.2)


def picture() -> np.ndarray:
    """A red, a green and a blue rectangle on black, exactly at ``BOXES``."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for (x0, y0, x1, y1), label in zip(BOXES.astype(int), LABELS, strict=True):
        image[y0:y1, x0:x1, label] = 255
    return image


@pytest.mark.parametrize("augmentation", [PLAIN, Augmentation(), SSD, NANODET])
@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(96, 128),
        InputSpec(128, 96, resize="letterbox", padding="black"),
        InputSpec(80, 160, resize="letterbox", padding="black", placement="top-left"),
    ],
)
def test_boxes_stay_on_their_objects(
    spec: InputSpec, augmentation: Augmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "FILL", (0, 0, 0))  # or else the canvas would count as an object
    transform = train_transform(spec, augmentation)
    kept = 0
    for seed in range(30):
        image, boxes, labels = augment(transform, picture(), BOXES, LABELS, (seed,))
        assert image.shape == (spec.height, spec.width, 3)
        assert image.dtype == np.uint8
        assert boxes.dtype == np.float32
        assert labels.dtype == np.int64
        assert (boxes >= 0).all()
        assert (boxes <= [spec.width, spec.height] * 2).all()
        for box, label in zip(boxes, labels, strict=True):
            # where the channel is the strongest, and bright: also after hue and brightness have changed
            mask = (image.argmax(axis=2) == label) & (image[..., label] > 100)
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            tight = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            np.testing.assert_allclose(box, tight, atol=1.5)
            kept += 1
    assert kept > 60


@pytest.mark.parametrize("place", ["centre", "top-left"])
def test_a_letterbox_without_augmentation_is_that_of_evaluation(place: Corner) -> None:
    spec = InputSpec(128, 96, resize="letterbox", placement=place)
    image, boxes, labels = augment(train_transform(spec, STILL), picture(), BOXES, LABELS, (0,))
    np.testing.assert_array_equal(image, resize_to_input(picture(), spec))
    np.testing.assert_allclose(boxes, Placement.of(HEIGHT, WIDTH, spec).to_input(BOXES), rtol=1e-5)
    np.testing.assert_array_equal(labels, LABELS)


def test_padding_has_its_colour_and_its_place_whatever_else_changes() -> None:
    spec = InputSpec(128, 96, resize="letterbox", placement="top-left")
    whole = dataclasses.replace(Augmentation(), crop_probability=0.0, colour_probability=1.0)
    for seed in range(20):  # half of them mirrored
        image, _, _ = augment(train_transform(spec, whole), picture(), BOXES, LABELS, (seed,))
        assert (image[72:] == 114).all()
        assert (image[:72] != 114).any()


def test_crops_of_a_letterbox_keep_the_shape_of_objects() -> None:
    spec = InputSpec(128, 96, resize="letterbox", padding="black")
    crops = Augmentation(colour_probability=0.0, crop_probability=1.0, min_visibility=0.99)
    ratios = []
    for seed in range(60):
        _, boxes, labels = augment(train_transform(spec, crops), picture(), BOXES, LABELS, (seed,))
        shapes = (BOXES[:, 2] - BOXES[:, 0]) / (BOXES[:, 3] - BOXES[:, 1])
        ratios += ((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1]) / shapes[labels]).tolist()
    assert len(ratios) > 60
    np.testing.assert_allclose(ratios, 1, atol=0.05)  # crops are of whole pixels and become whole pixels


def test_what_stretches_objects_stretches_them_in_a_letterbox_too() -> None:
    spec = InputSpec(128, 96, resize="letterbox", padding="black")
    _, boxes, _ = augment(
        train_transform(spec, dataclasses.replace(STILL, stretch=(0.8, 0.8001), scale=(1.0, 1.0001))),
        picture(),
        BOXES,
        LABELS,
        (0,),
    )
    still = Placement.of(HEIGHT, WIDTH, spec).to_input(BOXES)
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], 0.8 * (still[:, 2:] - still[:, :2]), rtol=0.03)


def test_boxes_left_out_are_those_that_the_crop_hides() -> None:
    transform = train_transform(InputSpec(HEIGHT, WIDTH), Augmentation(colour_probability=0.0, crop_probability=1.0))
    dropped = 0
    for seed in range(60):
        image, _, labels = augment(transform, picture(), BOXES, LABELS, (seed,))
        visible = [(image[..., label] > 127).sum() for label in LABELS]
        for label in set(LABELS.tolist()) - set(labels.tolist()):
            x0, y0, x1, y1 = BOXES[label]
            # a crop only enlarges, so less than half of the object gives less than half of 1 / 0.4 times its area
            assert visible[label] < 0.5 * 1.1 * (x1 - x0) * (y1 - y0) / 0.4
            dropped += 1
    assert dropped > 5


def test_a_crop_keeps_at_least_one_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where many crops miss the only box."""
    transform = train_transform(InputSpec(HEIGHT, WIDTH), Augmentation(crop_scale=(0.3, 0.5), crop_probability=1.0))

    def kept(tries: int) -> int:
        monkeypatch.setattr(transforms, "MAX_TRIES", tries)
        return sum(len(augment(transform, picture(), BOXES[:1], LABELS[:1], (seed,))[1]) for seed in range(50))

    all_tries = transforms.MAX_TRIES
    assert kept(1) < 40
    assert kept(all_tries) == 50


def test_iou_crop_drops_the_boxes_whose_centre_it_leaves_out() -> None:
    options = dataclasses.replace(STILL, iou_crop_probability=1.0, min_visibility=0.0, min_side=0.0)
    transform = train_transform(InputSpec(HEIGHT, WIDTH), options)
    counts = np.zeros(2, int)
    for seed in range(60):
        image, boxes, labels = augment(transform, picture(), BOXES, LABELS, (seed,))
        for box, label in zip(boxes, labels, strict=True):
            inner = box[:2] > 0.5, box[2:] < (WIDTH - 0.5, HEIGHT - 0.5)  # sides that are not cut
            shown = image[..., label] > 127
            assert shown.mean() * WIDTH * HEIGHT == pytest.approx((box[2:] - box[:2]).prod(), rel=0.1, abs=40)
            counts[int(np.all(inner))] += 1
        for label in set(LABELS.tolist()) - set(labels.tolist()):
            # of a box without its centre less than half is left in one direction at least
            rows, columns = (
                np.flatnonzero((image[..., label] > 127).any(1)),
                np.flatnonzero((image[..., label] > 127).any(0)),
            )
            if len(rows):
                assert rows[0] == 0 or columns[0] == 0 or rows[-1] == HEIGHT - 1 or columns[-1] == WIDTH - 1
    assert counts.min() > 15


def test_zoomed_out_picture_lies_on_a_plain_canvas() -> None:
    options = dataclasses.replace(STILL, zoom_out_probability=1.0, min_side=0.0)
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    box = np.array([[0, 0, WIDTH, HEIGHT]], np.float32)
    areas = []
    for seed in range(40):
        image, boxes, _ = augment(train_transform(InputSpec(HEIGHT, WIDTH), options), white, box, LABELS[:1], (seed,))
        x0, y0, x1, y1 = np.rint(boxes[0]).astype(int)
        assert (image[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] == 255).all()
        outside = np.ones((HEIGHT, WIDTH), bool)
        outside[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = False
        assert (image[outside] == transforms.FILL).all()
        areas.append((x1 - x0) * (y1 - y0) / (WIDTH * HEIGHT))
    assert min(areas) < 0.1
    assert max(areas) > 0.6


def test_colours_change_apart_from_each_other() -> None:
    grey = np.full((32, 32, 3), 100, np.uint8)
    coloured = np.tile(np.array([90, 110, 130], np.uint8), (32, 32, 1))
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)

    def changed(image: np.ndarray, **options: object) -> float:
        transform = train_transform(InputSpec(32, 32), dataclasses.replace(STILL, colour_probability=0.5, **options))
        return float(np.mean([(augment(transform, image, *nothing, (i,))[0] != image).any() for i in range(100)]))

    still = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": 0.0}
    assert changed(coloured, **still) == 0
    assert 0.35 < changed(grey, **{**still, "brightness": (0.5, 0.6)}) < 0.65
    assert changed(grey, **{**still, "contrast": (0.5, 0.6)}) == 0  # it has none
    assert changed(grey, **{**still, "saturation": (0.5, 0.6)}) == 0
    assert 0.35 < changed(coloured, **{**still, "saturation": (0.2, 0.3)}) < 0.65
    assert 0.35 < changed(coloured, **{**still, "hue": 0.3}) < 0.65
    assert 0.6 < changed(coloured, **{**still, "brightness": (0.5, 0.6), "saturation": (0.2, 0.3)}) < 0.95
    assert changed(grey, **{**still, "channel_shuffle_probability": 1.0}) == 0
    assert 0.5 < changed(coloured, **{**still, "channel_shuffle_probability": 0.8}) < 0.9


def test_result_depends_on_the_seed_alone() -> None:
    transform, other = train_transform(InputSpec(64, 64)), train_transform(InputSpec(64, 64))
    first = [augment(transform, picture(), BOXES, LABELS, (1, 2, i)) for i in range(8)]
    again = [augment(other, picture(), BOXES, LABELS, (1, 2, i)) for i in reversed(range(8))][::-1]
    for one, two in zip(first, again, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len({image.tobytes() for image, _, _ in first}) == 8


def test_steps_are_random_apart_from_each_other() -> None:
    """Flips and crops happen in every combination; with one random stream for each step they would go together."""
    transform = train_transform(InputSpec(HEIGHT, WIDTH), Augmentation(colour_probability=0.0, crop_probability=0.5))
    counts = np.zeros((2, 2), int)
    for seed in range(200):
        image, _, _ = augment(transform, picture(), BOXES, LABELS, (seed,))
        whole = any(np.array_equal(image, candidate) for candidate in (picture(), picture()[:, ::-1]))
        red, green = (np.flatnonzero(image[..., c].max(axis=0) > 127) for c in (0, 1))
        if len(red) and len(green):
            mirrored = red.mean() > green.mean()
            counts[int(whole), int(mirrored)] += 1
    assert counts.min() > 15


def test_image_without_boxes() -> None:
    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    image, boxes, labels = augment(train_transform(InputSpec(64, 96)), picture(), *empty, (0,))
    assert image.shape == (64, 96, 3)
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)


def test_no_augmentation_is_a_stretch() -> None:
    image, boxes, labels = augment(train_transform(InputSpec(2 * HEIGHT, WIDTH), STILL), picture(), BOXES, LABELS, (0,))
    np.testing.assert_array_equal(image[1::2, :, 1] > 127, picture()[:, :, 1] > 127)
    np.testing.assert_allclose(boxes, BOXES * [1, 2, 1, 2], rtol=1e-6)
    np.testing.assert_array_equal(labels, LABELS)


def test_import_does_not_ask_the_network() -> None:
    code = (
        "import socket, sys\n"
        "calls = []\n"
        "socket.getaddrinfo = lambda *a, **k: calls.append(a) or (_ for _ in ()).throw(OSError('no network'))\n"
        "import mobiledet.data.transforms, mobiledet.data.loader\n"
        "sys.exit(len(calls))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
