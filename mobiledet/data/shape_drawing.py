"""Draws an image of the built-in data set: a textured background and up to six shapes that occlude each other."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Contours = list[NDArray[np.float64]]
Canvas = NDArray[np.float32]  # H x W x 3, RGB in 0..255

IMAGE_SIDES = (160, 256)
OBJECT_SIZES = (0.12, 0.6)  # diameter as a fraction of the shorter image side
MAX_OBJECTS = 6
EMPTY_SHARE = 0.02
MIN_VISIBLE = 0.5
MIN_COLOUR_DISTANCE = 38.0  # CIE Lab, from the pixels that an object covers
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class VisibleObject:
    """An annotated object; all values describe its visible pixels.

    Attributes:
        name: a key of ``SHAPES``.
        box: x, y, width, height in pixels, tight.
        area: number of pixels.
        polygons: outlines as x0, y0, x1, y1, ...; holes are filled, as in COCO's own polygons.
    """

    name: str
    box: tuple[int, int, int, int]
    area: int
    polygons: list[list[float]]


def draw_scene(rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[VisibleObject]]:
    """Draw one image.

    Returns:
        the image (H x W x 3, uint8, RGB) and the objects that are at least half inside the image and at least half
        visible. The others are drawn too, but count as background.
    """
    height, width = (int(side) for side in rng.integers(IMAGE_SIDES[0], IMAGE_SIDES[1], 2, endpoint=True))
    canvas = _background(rng, height, width)
    owner = np.full((height, width), -1, np.int8)  # index of the object visible at each pixel; -1: background
    drawn: list[tuple[str, int]] = []  # name, pixels before occlusion; 0 when cut too far by the border
    placed: list[tuple[float, float, float]] = []
    count = 0 if rng.random() < EMPTY_SHARE else int(rng.integers(1, MAX_OBJECTS, endpoint=True))
    for index in range(count):
        name = str(rng.choice(list(SHAPES)))
        circle = _place(rng, height, width, placed)
        placed.append(circle)
        full, inside = _draw_object(rng, canvas, owner, index, name, circle)
        drawn.append((name, inside if inside >= MIN_VISIBLE * full else 0))
    canvas += rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(0, 8))
    image = np.clip(canvas, 0, 255).astype(np.uint8)
    visible = (_visible_object(name, owner == index, pixels) for index, (name, pixels) in enumerate(drawn) if pixels)
    return image, [item for item in visible if item is not None]


def _place(
    rng: np.random.Generator, height: int, width: int, placed: list[tuple[float, float, float]]
) -> tuple[float, float, float]:
    """Choose centre x, centre y and radius: of three random positions the one that overlaps earlier objects least."""
    shorter = min(height, width)
    radius = 0.5 * shorter * math.exp(rng.uniform(math.log(OBJECT_SIZES[0]), math.log(OBJECT_SIZES[1])))
    margin = 0.6 * radius
    candidates = [(rng.uniform(margin, width - margin), rng.uniform(margin, height - margin), radius) for _ in range(3)]

    def overlap(circle: tuple[float, float, float]) -> float:
        x, y, r = circle
        return max((min(r, s) - (math.hypot(x - u, y - v) - max(r, s)) for u, v, s in placed), default=0.0)

    return min(candidates, key=overlap)


def _visible_object(name: str, mask: NDArray[np.bool_], unoccluded: int) -> VisibleObject | None:
    area = int(mask.sum())
    if area < MIN_VISIBLE * unoccluded:
        return None
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contours = [contour for contour in contours if len(contour) >= 3]  # no single pixels or lines
    x, y, width, height = (int(v) for v in cv2.boundingRect(np.concatenate(contours)))
    polygons = [contour.reshape(-1).astype(float).tolist() for contour in contours]
    return VisibleObject(name, (x, y, width, height), area, polygons)


# ---------------------------------------------------------------------------------------------------------- shapes
# Each function gives closed contours around the origin within radius 1; a second contour is a hole.


def _polygon(radii: list[float], aspect: float = 1.0) -> NDArray[np.float64]:
    angles = np.arange(len(radii)) * (2 * math.pi / len(radii))
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii * np.float64(aspect)], axis=1)


def _circle(rng: np.random.Generator) -> Contours:
    return [_polygon([1.0] * 64)]


def _square(rng: np.random.Generator) -> Contours:
    long = 0.85
    short = long / rng.uniform(1.0, 1.6)
    return [np.array([[long, short], [-long, short], [-long, -short], [long, -short]])]


def _triangle(rng: np.random.Generator) -> Contours:
    return [_polygon([1.0] * 3, aspect=rng.uniform(0.8, 1.15))]


def _star(rng: np.random.Generator) -> Contours:
    return [_polygon([1.0, rng.uniform(0.38, 0.5)] * 5)]


def _ring(rng: np.random.Generator) -> Contours:
    return [_polygon([1.0] * 64), _polygon([rng.uniform(0.5, 0.7)] * 64)]


def _cross(rng: np.random.Generator) -> Contours:
    arm = rng.uniform(0.22, 0.36)
    corner = np.array([[1.0, -arm], [1.0, arm], [arm, arm]])
    quarter_turns = ((1, 0), (0, 1), (-1, 0), (0, -1))  # cosine, sine
    return [np.concatenate([corner @ np.array([[c, s], [-s, c]]) for c, s in quarter_turns])]


SHAPES: dict[str, Callable[[np.random.Generator], Contours]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
}


def _draw_object(
    rng: np.random.Generator,
    canvas: Canvas,
    owner: NDArray[np.int8],
    index: int,
    name: str,
    circle: tuple[float, float, float],
) -> tuple[int, int]:
    """Draw a shape into ``canvas`` and write ``index`` into the pixels of ``owner`` that it covers.

    Returns:
        the number of its pixels in all, and of those inside the image.
    """
    x, y, radius = circle
    reach = math.ceil(radius * 1.1) + 2
    left, top = math.floor(x) - reach, math.floor(y) - reach
    side = 2 * reach + 1
    angle = rng.uniform(0, 2 * math.pi)
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    contours = [
        np.rint(((contour @ rotation) * radius + (x - left, y - top)) * 2**SUBPIXEL_BITS).astype(np.int32)
        for contour in SHAPES[name](rng)
    ]
    alpha = np.zeros((side, side), np.uint8)
    cv2.fillPoly(alpha, contours, 255, cv2.LINE_AA, SUBPIXEL_BITS)
    full = int(np.count_nonzero(alpha >= 128))

    # the part of the patch that is inside the image
    height, width = owner.shape
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    patch = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    under = canvas[rows, columns]
    texture = _fill(rng, side, contours, radius, _distinct_colour(rng, under))[patch]
    alpha = alpha[patch]
    under += (texture - under) * (alpha[..., None] * np.float32(1 / 255))
    owner[rows, columns][alpha >= 128] = index
    return full, int(np.count_nonzero(alpha >= 128))


def _distinct_colour(rng: np.random.Generator, under: Canvas) -> NDArray[np.uint8]:
    """A random RGB colour that differs clearly from the pixels that it will cover: the first such of sixteen colours,
    or the one that differs most."""
    hsv = np.stack([rng.uniform(0, 180, 16), rng.uniform(60, 255, 16), rng.uniform(70, 255, 16)], axis=1)
    colours = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)
    sample = np.clip(cv2.resize(under, (8, 8), interpolation=cv2.INTER_NEAREST), 0, 255).astype(np.uint8)
    difference = _lab(np.asarray(colours, np.uint8)).reshape(16, 1, 3) - _lab(sample).reshape(1, 64, 3)
    distance = np.quantile(np.linalg.norm(difference, axis=2), 0.1, axis=1)
    distinct = np.flatnonzero(distance >= MIN_COLOUR_DISTANCE)
    chosen = distinct[0] if len(distinct) else distance.argmax()
    return np.asarray(colours[0, chosen], np.uint8)


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)


def _fill(
    rng: np.random.Generator, side: int, contours: list[NDArray[np.int32]], radius: float, colour: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A side x side x 3 texture: plain, shaded, striped or spotted, sometimes with an outline."""
    other = np.clip(colour * rng.choice([0.6, 1.5]) + rng.uniform(-20, 20, 3), 0, 255)
    mix = _object_mix(rng, side, radius)
    texture = (colour + (other - colour) * mix[..., None]).astype(np.uint8)
    if rng.random() < 0.35:
        outline = tuple(int(v) for v in rng.choice([20, 235]) + rng.uniform(-20, 20, 3))
        cv2.polylines(texture, contours, True, outline, max(2, round(radius * 0.12)), cv2.LINE_AA, SUBPIXEL_BITS)
    return texture


def _object_mix(rng: np.random.Generator, side: int, radius: float) -> NDArray[np.float32]:
    """The fraction of the second colour in each pixel of an object, side x side."""
    kind = rng.choice(["plain", "shaded", "striped", "spotted"], p=[0.4, 0.2, 0.25, 0.15])
    if kind == "shaded":
        along, _ = _waves(rng, side, side, period=4 * radius)
        return (0.5 + 0.5 * np.sin(along)).astype(np.float32)
    if kind == "striped":
        along, _ = _waves(rng, side, side, period=max(5.0, radius * rng.uniform(0.25, 0.6)))
        return (np.sin(along) > 0.2).astype(np.float32)
    if kind == "spotted":
        cells = math.ceil(side / max(3.0, radius * 0.2))
        noise = cv2.resize(rng.random((cells, cells), np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        return (noise > 0.65).astype(np.float32)
    return np.zeros((side, side), np.float32)


# ------------------------------------------------------------------------------------------------------ backgrounds


def _background(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """A gradient, stripes, a checker or plain colour, with colour noise, thin lines and speckle over it."""
    first = rng.uniform(40, 215) + rng.normal(0, 30, 3)
    second = first + rng.normal(0, 32, 3)
    mix = _background_mix(rng, height, width)
    canvas = (first + (second - first) * mix[..., None]).astype(np.float32)
    if rng.random() < 0.7:
        rows, columns = rng.integers(3, 9, 2)
        noise = rng.normal(0, rng.uniform(8, 28), (rows, columns, 3)).astype(np.float32)
        canvas += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.3:
        canvas += rng.standard_normal((height, width, 3), np.float32) * np.float32(rng.uniform(6, 18))
    for _ in range(rng.integers(0, 5)):
        start, end = rng.uniform(-0.1, 1.1, (2, 2)) * (width, height)
        colour = tuple(float(v) for v in rng.uniform(0, 255, 3))
        cv2.line(canvas, start.astype(int).tolist(), end.astype(int).tolist(), colour, int(rng.integers(1, 3)))
    return canvas


def _background_mix(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """The fraction of the second colour in each pixel of a background, height x width."""
    kind = rng.choice(["plain", "gradient", "stripes", "checker"])
    period = rng.uniform(8, 60)
    if kind == "gradient":
        along, _ = _waves(rng, height, width, period=2.5 * max(height, width))
        return 0.5 + 0.5 * np.sin(along)
    if kind == "stripes":
        along, _ = _waves(rng, height, width, period)
        return 0.5 + 0.5 * np.clip(3 * np.sin(along), -1, 1)
    if kind == "checker":
        along, across = _waves(rng, height, width, period)
        return (np.sin(along) * np.sin(across) > 0).astype(np.float64)
    return np.zeros((height, width))


def _waves(
    rng: np.random.Generator, height: int, width: int, period: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Phases in radians, height x width, of two plane waves: one in a random direction, one across it."""
    angle, phase = rng.uniform(0, 2 * math.pi, 2)
    scale = 2 * math.pi / period
    x = np.arange(width) * scale
    y = np.arange(height)[:, None] * scale
    along = x * math.cos(angle) + y * math.sin(angle) + phase
    across = y * math.cos(angle) - x * math.sin(angle) + phase
    return along, across
