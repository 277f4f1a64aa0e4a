"""Images and points in them: resized to the model's input, turned by the EXIF orientation."""

import base64
import dataclasses
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from mobiledet.data.resize import resize, resize_to_input
from mobiledet.detections import Detections
from mobiledet.placement import Placement
from mobiledet.spec import PLACEMENTS, SAMPLINGS, InputSpec

ORIENTATION_TAG = 0x0112
# size of the image; wide, tall, odd, of the input's size and shape, thin, with blocks
LETTERBOXES = [
    ((24, 70), InputSpec(32, 32, resize="letterbox")),
    ((70, 24), InputSpec(32, 32, resize="letterbox", placement="top-left")),
    ((37, 53), InputSpec(32, 48, resize="letterbox", padding="black")),
    ((53, 37), InputSpec(32, 48, resize="letterbox")),
    ((33, 31), InputSpec(48, 32, resize="letterbox", padding="black", placement="top-left")),
    ((32, 48), InputSpec(32, 48, resize="letterbox")),
    ((16, 24), InputSpec(32, 48, resize="letterbox")),
    ((1, 90), InputSpec(32, 32, resize="letterbox")),
    ((141, 67), InputSpec(33, 35, resize="letterbox")),
    ((67, 141), InputSpec(33, 35, resize="letterbox", placement="top-left")),
    ((141, 67), InputSpec(33, 35, resize="letterbox", sampling="bilinear")),
]
SHORT = 3  # type of an EXIF value


def resize_cases() -> list[dict[str, Any]]:
    """Small images and their results of ``mobiledet.data.resize``, to the bit."""
    random = np.random.RandomState(0)  # its stream is the same in every version of numpy
    sizes = [
        ((32, 32), (32, 32)),
        ((64, 64), (32, 32)),
        ((37, 53), (32, 32)),
        ((48, 40), (32, 64)),
        ((7, 5), (32, 32)),
        ((1, 1), (32, 32)),
        ((1, 100), (32, 32)),
        ((90, 3), (32, 64)),
        ((33, 31), (64, 32)),
        # blocks: of one size, of two sizes, not whole, along one side alone, large
        ((32, 16), (8, 8)),
        ((16, 70), (8, 8)),
        ((33, 67), (8, 8)),
        ((31, 17), (8, 8)),
        ((9, 67), (8, 4)),
        ((40, 9), (8, 12)),
        ((263, 9), (8, 9)),
    ]
    cases = []
    for (height, width), (model_height, model_width) in sizes:
        image = random.randint(0, 256, (height, width, 3)).astype(np.uint8)
        image[: height // 2] = np.linspace(0, 255, image[: height // 2].size).reshape(-1, width, 3)  # half of it smooth
        for sampling in SAMPLINGS if max(height // model_height, width // model_width) > 1 else SAMPLINGS[:1]:
            stretched = resize(image, model_height, model_width, sampling)
            rule = {"resize": "stretch", "sampling": sampling}
            cases.append({"image": _pixels(image), **rule, "resized": _pixels(stretched)})
    return cases + [_letterbox(random, *case) for case in LETTERBOXES]


def _letterbox(random: np.random.RandomState, size: tuple[int, int], spec: InputSpec) -> dict[str, Any]:
    image = random.randint(0, 256, (*size, 3)).astype(np.uint8)
    return {"image": _pixels(image), **_rule(spec), "resized": _pixels(resize_to_input(image, spec))}


def _rule(spec: InputSpec) -> dict[str, str]:
    values = dataclasses.asdict(spec)
    return {name: values[name] for name in ("resize", "sampling", "padding", "placement")}


def placement_cases() -> list[dict[str, Any]]:
    """Positions of images in inputs, and boxes as fractions of the input and in pixels of the image."""
    random = np.random.RandomState(5)
    inputs = [
        InputSpec(160, 96),
        *(InputSpec(96, 160, resize="letterbox", placement=place) for place in PLACEMENTS),
        InputSpec(320, 320, resize="letterbox"),
        InputSpec(161, 97, resize="letterbox", placement="top-left"),
    ]
    # wide, tall, odd, of the input's shape, halves that are rounded, thinner than a pixel, large
    sizes = [(480, 640), (640, 480), (333, 500), (96, 160), (65, 160), (1, 1), (1, 4000), (4000, 3), (3024, 4032)]
    cases = []
    for spec in inputs:
        for height, width in sizes:
            placement = Placement.of(height, width, spec)
            corners = np.sort(random.uniform(0, 1, (4, 2, 2)), axis=1).reshape(-1, 4)
            edges = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.05, 0.05], [0.45, 0.45, 0.55, 0.55]]
            boxes = np.concatenate((corners, edges)).astype(np.float32)
            found = placement.to_image(
                Detections(boxes, np.linspace(0.9, 0.3, len(boxes), dtype=np.float32), np.arange(len(boxes)))
            )
            seen = placement.visible(found)
            cases.append(
                {
                    "height": height,
                    "width": width,
                    "input": [spec.height, spec.width],
                    **_rule(spec),
                    "part": [placement.top, placement.left, placement.height, placement.width],
                    "boxes": boxes.tolist(),
                    "in_picture": found.boxes_xyxy.tolist(),
                    "visible": seen.boxes_xyxy.tolist(),
                    "visible_rows": seen.labels.tolist(),
                }
            )
    return cases


def orientation_cases() -> list[dict[str, Any]]:
    """A stored image of 3 x 2 pixels, its upright form for each of EXIF's eight orientations, points and boxes.

    Places are in pixels with (0, 0) at the top left corner of the top left pixel, as everywhere.
    """
    stored = np.arange(3 * 2 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10
    points = [(0.0, 0.0), (3.0, 2.0), (0.5, 0.25), (2.75, 1.5)]
    boxes = [(0.0, 0.0, 1.0, 1.0), (0.5, 0.25, 2.75, 1.5)]
    cases = []
    for orientation in range(1, 9):
        image = Image.fromarray(stored)
        image.getexif()[ORIENTATION_TAG] = orientation
        upright = np.asarray(ImageOps.exif_transpose(image))
        turned_boxes = []
        for x1, y1, x2, y2 in boxes:
            corners = [_upright(x, y, 3.0, 2.0, orientation) for x, y in ((x1, y1), (x2, y2))]
            turned_boxes.append([*np.min(corners, axis=0).tolist(), *np.max(corners, axis=0).tolist()])
        cases.append(
            {
                "orientation": orientation,
                "stored": _pixels(stored),
                "upright": _pixels(upright),
                "stored_points": points,
                "upright_points": [_upright(x, y, 3.0, 2.0, orientation) for x, y in points],
                "stored_boxes": boxes,
                "upright_boxes": turned_boxes,
            }
        )
    return cases


def _upright(x: float, y: float, width: float, height: float, orientation: int) -> tuple[float, float]:
    """Convert a point of the stored image to the upright one."""
    right, below = width - x, height - y
    places = [(x, y), (right, y), (right, below), (x, below), (y, x), (below, x), (below, right), (y, right)]
    return places[orientation - 1]


def exif_cases() -> list[dict[str, Any]]:
    """Heads of image files, without pixels, and their orientation; 1 if they have none."""
    cases = [("no EXIF", _jpeg(b""), 1), ("no picture", b"GIF89a" + bytes(20), 1), ("empty", b"", 1)]
    for orientation in (1, 3, 6, 8):
        for order in ("II", "MM"):
            cases.append((f"JPEG {order} {orientation}", _jpeg(_app1(_tiff(order, orientation))), orientation))
        cases.append((f"PNG {orientation}", _png(_tiff("MM", orientation)), orientation))
    tiff = _tiff("MM", 6)
    other = b"\xff\xe1" + struct.pack(">H", 30) + b"http://ns.adobe.com/xap/1.0/"
    cases += [
        ("behind other segments", _jpeg(b"\xff\xe0\x00\x10JFIF\0" + bytes(9) + other + _app1(tiff)), 6),
        ("orientation 0", _jpeg(_app1(_tiff("II", 0))), 1),
        ("orientation 9", _jpeg(_app1(_tiff("II", 9))), 1),
        ("other tags first", _jpeg(_app1(_tiff("MM", 6, tags=(0x010F, 0x0110)))), 6),
        ("other tags alone", _jpeg(_app1(_tiff("MM", None, tags=(0x010F, 0x0110)))), 1),
        ("cut in the directory", _jpeg(_app1(tiff[:12])), 1),
        ("directory far away", _jpeg(_app1(b"MM\0*\x7f\xff\xff\xff")), 1),
        ("no byte order", _jpeg(_app1(b"XX" + tiff[2:])), 1),
        ("cut in the segment", _jpeg(_app1(tiff))[:20], 1),
    ]
    return [{"name": name, "base64": _base64(content), "orientation": value} for name, content, value in cases]


def _tiff(order: str, orientation: int | None, tags: tuple[int, ...] = ()) -> bytes:
    """A TIFF header with a directory of short values."""
    sign = "<" if order == "II" else ">"
    values = [*((tag, 7) for tag in tags), *([] if orientation is None else [(ORIENTATION_TAG, orientation)])]
    entries = b"".join(struct.pack(f"{sign}HHIHH", tag, SHORT, 1, value, 0) for tag, value in values)
    header = order.encode() + struct.pack(f"{sign}HI", 42, 8)
    return header + struct.pack(f"{sign}H", len(values)) + entries + bytes(4)


def _app1(tiff: bytes) -> bytes:
    content = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def _jpeg(segments: bytes) -> bytes:
    """Start, segments, the header of a frame of 2 x 3 pixels, start of the scan, end."""
    frame = b"\xff\xc0\x00\x0b\x08\x00\x02\x00\x03\x01\x01\x11\x00"
    return b"\xff\xd8" + segments + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\xff\xd9"


def _png(tiff: bytes) -> bytes:
    """A black PNG of 3 x 2 pixels with an eXIf chunk."""
    pixels = zlib.compress(bytes(2 * (1 + 3 * 3)), 0)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)),
        (b"eXIf", tiff),
        (b"IDAT", pixels),
        (b"IEND", b""),
    ]
    framed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _pixels(image: np.ndarray) -> dict[str, Any]:
    """An image of height x width x 3 bytes, row by row."""
    return {"height": image.shape[0], "width": image.shape[1], "base64": _base64(image.tobytes())}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
