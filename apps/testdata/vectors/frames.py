"""Camera frames and the model's input made from each: the reference for the apps, which do it in one pass.

``input_of`` defines the result: convert the whole frame to RGB, cut out its crop, turn that upright, resize it to the
model's input by ``mobiledet.data.resize``. Python reads no camera's own planes, so the conversion is defined here.
"""

import base64
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobiledet.data.resize import resize, resize_to_input
from mobiledet.spec import InputSpec

Bytes = NDArray[np.uint8]
Crop = tuple[int, int, int, int]  # left, top, width, height, in pixels of the frame as stored

BITS = 16  # of the fractions in the conversion
# the share of red and blue in luma: ITU-R BT.601 (2.5.1), BT.709 (3.2)
PRIMARIES = {"bt601": (Fraction("0.299"), Fraction("0.114")), "bt709": (Fraction("0.2126"), Fraction("0.0722"))}
# JFIF 1.02, Conversion to and from RGB: BT.601 in full range, with rounded decimals
JFIF = [Fraction(value) for value in ("1", "1.402", "-0.34414", "-0.71414", "1.772")]
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,  # Pillow turns counterclockwise
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass
class Rule:
    """How the upright picture becomes the input."""

    height: int
    width: int
    sampling: str = "mean"
    resize: str = "stretch"
    padding: str = "grey"
    placement: str = "centre"


def coefficients(matrix: str) -> tuple[list[int], int]:
    """What luma, V in red, U and V in green, and U in blue are multiplied by, in fixed point; and the luma of black."""
    if matrix == "bt601_full":
        values, black = JFIF, 0
    else:
        standard, extent = matrix.split("_")
        red, blue = PRIMARIES[standard]
        green = 1 - red - blue
        of_red, of_blue = 2 * (1 - red), 2 * (1 - blue)
        black, luma, chroma = (0, 1, 1) if extent == "full" else (16, Fraction(255, 219), Fraction(255, 224))
        shares = [of_red, -blue * of_blue / green, -red * of_red / green, of_blue]
        values = [Fraction(luma), *(share * chroma for share in shares)]
    return [round(value * 2**BITS) for value in values], black


def to_rgb(y: Bytes, u: Bytes, v: Bytes, matrix: str) -> Bytes:
    """H x W luma and halved chroma to H x W x 3; each chroma sample is used for its 2 x 2 pixels."""
    (luma, red_v, green_u, green_v, blue_u), black = coefficients(matrix)
    height, width = y.shape
    blue, red = (
        np.repeat(np.repeat(plane.astype(np.int64) - 128, 2, axis=0), 2, axis=1)[:height, :width] for plane in (u, v)
    )
    level = (y.astype(np.int64) - black) * luma
    rgb = np.stack((level + red_v * red, level + green_u * blue + green_v * red, level + blue_u * blue), axis=-1)
    return np.clip((rgb + (1 << BITS - 1)) >> BITS, 0, 255).astype(np.uint8)


def input_of(rgb: Bytes, crop: Crop, orientation: int, rule: Rule) -> Bytes:
    """The model's input made from a whole frame in RGB."""
    left, top, width, height = crop
    picture = rgb[top : top + height, left : left + width]
    if orientation in TURNS:
        picture = np.asarray(Image.fromarray(picture).transpose(TURNS[orientation]))
    if rule.resize == "stretch":
        return resize(np.ascontiguousarray(picture), rule.height, rule.width, rule.sampling)  # type: ignore[arg-type]
    return resize_to_input(picture, InputSpec(**vars(rule)))


def frame_cases() -> list[dict[str, Any]]:
    """Frames in every format, and the inputs made from them."""
    random = np.random.RandomState(11)
    whole = [
        ("planar", "bt601_full", (18, 26), Rule(8, 12)),
        ("nv12", "bt601_video", (9, 11), Rule(9, 11)),  # as many pixels as the input
        ("nv12", "bt709_full", (9, 11), Rule(9, 11)),
        ("nv12", "bt709_video", (9, 11), Rule(9, 11)),
        ("nv21", "bt601_full", (9, 11), Rule(9, 11)),
        ("nv12", "bt601_video", (37, 67), Rule(8, 8)),  # blocks, the last ones not whole
        ("planar", "bt601_full", (37, 67), Rule(8, 8, "bilinear")),
        ("nv21", "bt709_video", (5, 7), Rule(11, 16)),
        ("padded", "bt601_full", (24, 64), Rule(32, 32, resize="letterbox")),  # the means alone are the picture
        ("rgba", "", (24, 64), Rule(32, 32, resize="letterbox", padding="black", placement="top-left")),
        ("bgra", "", (37, 67), Rule(8, 8)),
        ("rgba", "", (37, 67), Rule(8, 8, "bilinear")),
    ]
    cases = [_case(random, kind, matrix, size, (0, 0, size[1], size[0]), 1, rule) for kind, matrix, size, rule in whole]
    crop = (3, 5, 31, 21)
    for orientation in range(1, 9):
        for kind, matrix, rule in (
            ("padded", "bt601_full", Rule(12, 16)),
            ("rgba", "", Rule(9, 10)),
            ("nv12", "bt709_full", Rule(8, 7, "bilinear")),
        ):
            cases.append(_case(random, kind, matrix, (27, 36), crop, orientation, rule))
    boxed = Rule(32, 33, resize="letterbox")
    for orientation in (3, 6, 7, 8):
        cases.append(_case(random, "nv21", "bt601_full", (37, 50), (1, 2, 48, 33), orientation, boxed))
        cases.append(_case(random, "bgra", "", (27, 36), crop, orientation, boxed))
    return cases


def _case(
    random: np.random.RandomState,
    kind: str,
    matrix: str,
    size: tuple[int, int],
    crop: Crop,
    orientation: int,
    rule: Rule,
) -> dict[str, Any]:
    height, width = size
    if matrix:
        halved = (height + 1) // 2, (width + 1) // 2
        samples = [_samples(random, *shape) for shape in (size, halved, halved)]
        rgb, planes = to_rgb(*samples, matrix), _yuv_planes(*samples, kind)
    else:
        rgba = np.stack([_samples(random, *size) for _ in range(4)], axis=-1)
        rgb = rgba[..., :3]
        stored = rgba[..., [2, 1, 0, 3]] if kind == "bgra" else rgba
        planes = [_plane(stored.reshape(height, -1), 4 * width + 8, 4)]
    frame = {"height": height, "width": width, "crop": crop, "format": "yuv" if matrix else kind, "planes": planes}
    if matrix:
        frame["matrix"] = matrix
    made = input_of(rgb, crop, orientation, rule)
    return {"frame": frame, "orientation": orientation, **vars(rule), "input": _base64(made)}


def _samples(random: np.random.RandomState, height: int, width: int) -> Bytes:
    """Noise, and below it a ramp."""
    made = random.randint(0, 256, (height, width)).astype(np.uint8)
    made[height // 2 :] = np.linspace(0, 255, made[height // 2 :].size).reshape(-1, width)
    return made


def _yuv_planes(y: Bytes, u: Bytes, v: Bytes, kind: str) -> list[dict[str, Any]]:
    width = y.shape[1]
    if kind == "planar":
        return [_plane(plane, plane.shape[1], 1) for plane in (y, u, v)]
    if kind == "padded":  # planes with unused bytes behind each row
        return [_plane(y, width + 5, 1), _plane(u, width, 1), _plane(v, width, 1)]
    first, second = (u, v) if kind == "nv12" else (v, u)
    both = np.stack((first, second), axis=-1).reshape(len(u), -1)
    chroma = [_plane(both, width + 7, 2), _plane(both, width + 7, 2, skip=1)]
    return [_plane(y, width + 6, 1), *(chroma if kind == "nv12" else chroma[::-1])]


def _plane(samples: Bytes, row_stride: int, pixel_stride: int, skip: int = 0) -> dict[str, Any]:
    """Its bytes end with the last sample, as those of Android do."""
    rows = np.full((len(samples), max(row_stride, samples.shape[1])), 99, np.uint8)
    rows[:, : samples.shape[1]] = samples
    content = rows.tobytes()[skip : (len(samples) - 1) * rows.shape[1] + samples.shape[1]]
    return {"base64": _base64(content), "row_stride": rows.shape[1], "pixel_stride": pixel_stride}


def _base64(content: Bytes | bytes) -> str:
    return base64.b64encode(bytes(content)).decode()
