"""Draws detections on images."""

import colorsys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file

READABLE_SIDE = 480
GOLDEN_RATIO = 0.618034
KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels


class Mark(NamedTuple):
    """A polyline through points (x, y in pixels), with a text at its start."""

    points: Sequence[tuple[float, float]]
    text: str


def draw_detections(
    image: np.ndarray,
    detections: Detections,
    labels: Sequence[str] | Mapping[int, str],
    truth_xyxy: np.ndarray | None = None,
    ids: Sequence[int] | None = None,
    marks: Sequence[Mark] = (),
    with_scores: bool = True,
) -> np.ndarray:
    """Draw boxes with class and score; the best detection is on top.

    An image with a longer side below 480 pixels is enlarged by a whole factor first, so that the text can be read.

    Args:
        image: height x width x 3 uint8 RGB.
        detections: boxes in its pixels.
        labels: class names.
        truth_xyxy: N x 4 true boxes, drawn in white below the others.
        ids: track ids, written after the names; they determine the colours instead of the classes.
        marks: polylines, drawn in white below the boxes.
        with_scores: write them behind the names.

    Returns:
        a new image, height x width x 3 uint8 RGB, or a multiple of it.
    """
    height, width = image.shape[:2]
    factor = max(1, -(-READABLE_SIDE // max(height, width)))
    if factor == 1 and not len(detections) and truth_xyxy is None and not marks:
        return image.copy()
    picture = Image.fromarray(image).resize((width * factor, height * factor), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 240))
    font_size = max(12, max(picture.size) / 40)
    font = ImageFont.load_default(font_size)
    boxes = detections.boxes_xyxy * factor
    for box in [] if truth_xyxy is None else (truth_xyxy * factor).tolist():
        _outline(draw, _inside(box, picture.size), "white", line)
    for mark in marks:
        _draw_mark(draw, Mark([(x * factor, y * factor) for x, y in mark.points], mark.text), line, font)
    colours = [class_color(number) for number in (detections.labels.tolist() if ids is None else ids)]
    for box, colour in reversed(list(zip(boxes.tolist(), colours, strict=True))):
        _outline(draw, _inside(box, picture.size), colour, line)
    taken: list[Box] = []
    names = [labels[label] for label in detections.labels.tolist()]
    if ids is not None:
        names = [f"{name} #{track}" for name, track in zip(names, ids, strict=True)]
    for box, name, score, colour in zip(boxes.tolist(), names, detections.scores.tolist(), colours, strict=True):
        text = f"{name} {score:.2f}" if with_scores else name
        text_size = font.getlength(text) + 3 * line, 1.25 * font_size + line
        place = _place_text(box, text_size, picture.size, taken)
        taken.append(place)
        draw.rectangle(place, fill=colour)
        middle = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
        draw.text(middle, text, fill=_ink(colour), font=font, anchor="mm")
    return np.asarray(picture)


def save_picture(path: Path, pixels: np.ndarray) -> None:
    """Write an image, height x width x 3 uint8 RGB, completely or not at all.

    Raises:
        UserError: the name ends in none of ``KINDS``, or the file cannot be written.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"cannot write {path}: its name must end in {', '.join(KINDS)}")
    with atomic_file(path) as temporary:
        Image.fromarray(pixels).save(temporary, format=kind, quality=92)


def _outline(draw: ImageDraw.ImageDraw, box: Box, colour: str | tuple[int, int, int], line: int) -> None:
    x1, y1, x2, y2 = box
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline="black", width=line + 2)
    draw.rectangle(box, outline=colour, width=line)


def _draw_mark(
    draw: ImageDraw.ImageDraw, mark: Mark, line: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    draw.line(mark.points, fill="black", width=line + 2)
    draw.line(mark.points, fill="white", width=line)
    x, y = mark.points[0]
    draw.text(
        (max(0, x) + line, max(0, y) + line), mark.text, fill="white", font=font, stroke_width=2, stroke_fill="black"
    )


def class_color(label: int) -> tuple[int, int, int]:
    """The RGB colour of a class, always the same, with a hue as far as possible from those of earlier classes."""
    hue = (0.6 + label * GOLDEN_RATIO) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85 if label % 2 else 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def contact_sheet(images: Sequence[np.ndarray], columns: int = 0, tile: int = 320, gap: int = 8) -> np.ndarray:
    """Arrange images side by side on white, each fitted into a square tile.

    Args:
        images: at least one image, height x width x 3 uint8 RGB.
        columns: number of columns; 0 makes the sheet about square.
        tile: side of a tile in pixels.
        gap: between tiles and around them, in pixels.

    Returns:
        height x width x 3 uint8 RGB.
    """
    if not images:
        raise ValueError("a contact sheet needs at least one image")
    columns = columns or int(np.ceil(np.sqrt(len(images))))
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    step = tile + gap
    sheet = Image.new("RGB", (columns * step + gap, rows * step + gap), "white")
    for index, image in enumerate(images):
        scale = tile / max(image.shape[:2])
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        fitted = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
        row, column = divmod(index, columns)
        corner = (gap + column * step + (tile - size[0]) // 2, gap + row * step + (tile - size[1]) // 2)
        sheet.paste(fitted, corner)
    return np.asarray(sheet)


def _place_text(box: Sequence[float], text: tuple[float, float], size: tuple[int, int], taken: Sequence[Box]) -> Box:
    """The first free position for a text: above the box, inside its top, below it, or inside its bottom."""
    width, height = text
    left = min(max(0, box[0]), max(0, size[0] - width))
    tops = (box[1] - height, box[1], box[3], box[3] - height)
    limit = max(0, size[1] - height)
    places: list[Box] = [(left, top, left + width, top + height) for top in (min(max(0, t), limit) for t in tops)]
    return next((place for place in places if not any(_overlap(place, other) for other in taken)), places[0])


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _inside(box: Sequence[float], size: tuple[int, int]) -> Box:
    """The part of a box inside the image; an inverted box or one outside becomes a point or a line."""
    x1, y1 = (min(max(0, box[i]), size[i] - 1) for i in (0, 1))
    x2, y2 = (min(max(0, box[i + 2]), size[i] - 1) for i in (0, 1))
    return x1, y1, max(x1, x2), max(y1, y2)


def _ink(color: tuple[int, int, int]) -> str:
    """Black or white, whichever has more contrast on a colour."""
    red, green, blue = color
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def draw_boxes(image: np.ndarray, boxes_xyxy: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Outline boxes in the colours of their classes, without names.

    Args:
        image: height x width x 3 uint8 RGB.
        boxes_xyxy: N x 4 in its pixels.
        labels: class index of each box.
    """
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 200))
    for box, label in zip(boxes_xyxy.tolist(), labels, strict=True):
        _outline(draw, _inside(box, picture.size), class_color(label), line)
    return np.asarray(picture)
