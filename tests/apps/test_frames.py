"""frames.json against Pillow, OpenCV and the matrices of ITU-R: camera frames become what the standards say."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from mobiledet.data.resize import resize, resize_to_input
from mobiledet.spec import InputSpec

PRIMARIES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
ORIENTATION_TAG = 0x0112


@pytest.fixture(scope="module")
def cases(project_root: Path) -> list[dict[str, Any]]:
    content: dict[str, Any] = json.loads((project_root / "apps" / "testdata" / "frames.json").read_text("utf-8"))
    return list(content["cases"])


def _samples(plane: dict[str, Any], height: int, width: int) -> np.ndarray:
    content = np.frombuffer(base64.b64decode(plane["base64"]), np.uint8)
    rows, columns = np.mgrid[:height, :width]
    places = rows * plane["row_stride"] + columns * plane["pixel_stride"] + plane.get("skip", 0)
    return np.asarray(content[places])


def _exact_rgb(y: np.ndarray, u: np.ndarray, v: np.ndarray, matrix: str) -> np.ndarray:
    """The inverse of the matrix by which ITU-R defines luma and chroma of RGB, in floating point."""
    standard, extent = matrix.split("_")
    red, blue = PRIMARIES[standard]
    luma = np.array([red, 1 - red - blue, blue])
    of_blue, of_red = (np.eye(3)[axis] - luma for axis in (2, 0))
    forward = np.stack([luma, of_blue / (2 * (1 - blue)), of_red / (2 * (1 - red))])
    black, luma_range, chroma_range = (0, 255, 255) if extent == "full" else (16, 219, 224)
    levels = np.stack(
        [(y - float(black)) / luma_range, (u - 128.0) / chroma_range, (v - 128.0) / chroma_range], axis=-1
    )
    return np.asarray(np.clip(levels @ np.linalg.inv(forward).T, 0, 1) * 255)


def _rgb(frame: dict[str, Any]) -> np.ndarray:
    height, width = frame["height"], frame["width"]
    if "matrix" not in frame:
        (plane,) = frame["planes"]
        pixels = [{**plane, "skip": frame["format"].index(colour)} for colour in "rgb"]
        return np.stack([_samples(colour, height, width) for colour in pixels], -1)
    y = _samples(frame["planes"][0], height, width)
    chroma = [_samples(plane, (height + 1) // 2, (width + 1) // 2) for plane in frame["planes"][1:]]
    u, v = (plane.repeat(2, axis=0).repeat(2, axis=1)[:height, :width] for plane in chroma)
    return np.rint(_exact_rgb(y, u, v, frame["matrix"])).astype(np.uint8)


def test_inputs_are_those_of_the_separate_steps(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        left, top, width, height = case["frame"]["crop"]
        image = Image.fromarray(_rgb(case["frame"])).crop((left, top, left + width, top + height))
        image.getexif()[ORIENTATION_TAG] = case["orientation"]
        upright = np.asarray(ImageOps.exif_transpose(image))
        made = np.frombuffer(base64.b64decode(case["input"]), np.uint8).reshape(case["height"], case["width"], 3)
        if case["resize"] == "stretch":
            expected = resize(upright, case["height"], case["width"], case["sampling"])
        else:
            rule = {name: case[name] for name in ("height", "width", "sampling", "resize", "padding", "placement")}
            expected = resize_to_input(upright, InputSpec(**rule))
        difference = np.abs(made.astype(int) - expected)
        # colours in fixed point may be rounded otherwise
        assert difference.max() <= (1 if "matrix" in case["frame"] else 0), case
        assert (difference > 0).mean() < 0.02, case
    assert {case["orientation"] for case in cases} == set(range(1, 9))


def test_colours_are_those_of_pillow_and_opencv(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project_root / "apps" / "testdata"))
    from vectors.frames import to_rgb

    cv2 = pytest.importorskip("cv2")
    random = np.random.RandomState(0)
    y = random.randint(0, 256, (64, 64)).astype(np.uint8)
    u, v = (random.randint(0, 256, (32, 32)).astype(np.uint8) for _ in range(2))
    whole = [plane.repeat(2, axis=0).repeat(2, axis=1) for plane in (u, v)]
    pillow = np.asarray(Image.merge("YCbCr", [Image.fromarray(plane) for plane in (y, *whole)]).convert("RGB"))
    assert np.abs(to_rgb(y, u, v, "bt601_full").astype(int) - pillow).max() <= 1
    y = np.clip(y, 16, 235)
    planes = np.concatenate([y.ravel(), u.ravel(), v.ravel()]).reshape(96, 64)
    opencv = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)  # BT.601 in video range
    assert np.abs(to_rgb(y, u, v, "bt601_video").astype(int) - opencv).max() <= 1
