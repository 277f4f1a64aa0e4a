import itertools

import numpy as np
import pytest

from mobiledet.detections import Detections
from mobiledet.drawing.pictures import class_color, contact_sheet, draw_detections

LABELS = ("cat", "dog", "traffic light")


def _detections(*boxes: tuple[float, float, float, float]) -> Detections:
    count = len(boxes)
    scores = np.linspace(0.9, 0.5, count, dtype=np.float32)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), scores, np.arange(count) % 3)


def _colored(image: np.ndarray, label: int) -> np.ndarray:
    """Where an image has the colour of a class."""
    return (image == class_color(label)).all(axis=2)


@pytest.mark.parametrize(("height", "width", "factor"), [(600, 800, 1), (128, 128, 4), (64, 48, 8), (3000, 2000, 1)])
def test_small_images_are_enlarged(height: int, width: int, factor: int) -> None:
    image = np.full((height, width, 3), 90, np.uint8)
    drawn = draw_detections(image, Detections.empty(), LABELS)
    assert drawn.shape == (height * factor, width * factor, 3)
    assert (drawn == 90).all()


@pytest.mark.parametrize(("height", "width"), [(600, 800), (128, 160), (1500, 3000)])
def test_boxes_stand_where_the_detections_are(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    box = np.array([0.3, 0.4, 0.8, 0.9]) * [width, height, width, height]
    drawn = draw_detections(image, _detections(tuple(box)), LABELS)
    factor = drawn.shape[1] // width
    rows, columns = np.nonzero(_colored(drawn, 0))
    assert columns.min() == pytest.approx(box[0] * factor, abs=1)
    assert rows.max() == pytest.approx(box[3] * factor, abs=1)
    inner = drawn[
        int((box[1] + 20) * factor) : int((box[3] - 20) * factor),
        int((box[0] + 20) * factor) : int((box[2] - 20) * factor),
    ]
    assert not inner.any()
    assert not image.any()


def test_text_is_inside_and_readable_for_boxes_at_every_border() -> None:
    image = np.full((480, 640, 3), 128, np.uint8)
    for box in ((0, 0, 30, 30), (600, 0, 640, 480), (0, 440, 640, 480), (-50, -50, 900, 900)):
        drawn = draw_detections(image, _detections(box), LABELS)
        assert _colored(drawn, 0).sum() > 600  # the plate of the text
        ink = (drawn == 0).all(axis=2) | (drawn == 255).all(axis=2)
        assert ink.sum() > 50


def test_texts_of_boxes_on_one_place_do_not_cover_each_other() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    box = (200, 200, 400, 300)
    alone = draw_detections(image, _detections(box), LABELS)
    both = draw_detections(image, _detections(box, box), LABELS)
    above = slice(0, 197)  # where the first text stands
    assert _colored(alone[above], 0).sum() > 600
    np.testing.assert_array_equal(alone[above], both[above])
    assert _colored(both, 1).sum() > 600


def test_degenerate_boxes_do_not_fail() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    draw_detections(image, _detections((50, 50, 50, 50), (60, 60, 40, 40), (500, 500, 600, 600)), LABELS)


def test_classes_have_colours_of_their_own() -> None:
    colors = [class_color(label) for label in range(80)]
    assert len(set(colors)) == 80
    near = [np.abs(np.subtract(a, b)).sum() for a, b in itertools.pairwise(colors)]
    assert min(near) > 150


def test_contact_sheet_shows_every_image_once() -> None:
    images = [np.full((40 + 30 * i, 200, 3), 40 * (i + 1), np.uint8) for i in range(5)]
    sheet = contact_sheet(images, columns=3, tile=100, gap=10)
    assert sheet.shape == (2 * 110 + 10, 3 * 110 + 10, 3)
    for i, image in enumerate(images):
        shown = (sheet == 40 * (i + 1)).all(axis=2)
        rows, columns = np.nonzero(shown)
        assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (100, round(image.shape[0] / 2))
        assert columns.min() == 10 + 110 * (i % 3)
    assert contact_sheet(images[:4]).shape[:2] == (2 * 328 + 8, 2 * 328 + 8)
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])
