"""Letterboxes and inputs that are no squares, from the file to the score: real model files, wide and tall pictures."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobiledet import Detector, cli
from mobiledet.bundle import Bundle
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError
from mobiledet.evaluation.result import read_result
from mobiledet.spec import InputSpec

SIZES = {
    "square-centre": InputSpec(64, 64, resize="letterbox"),
    "square-corner": InputSpec(64, 64, resize="letterbox", padding="black", placement="top-left"),
    "wide-centre": InputSpec(64, 128, resize="letterbox", padding="black"),
    "wide-corner": InputSpec(64, 128, resize="letterbox", placement="top-left"),
}
# rows and columns of the cells in the data, and how large a cell is in each picture of a square and a wide input
CELLS = np.array([[0, 0], [1, 3], [2, 2], [3, 1]])
PIXELS = {64: (32, 32, 16), 128: (16, 32, 16)}


@pytest.fixture(params=SIZES)
def boxed(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    write_patch_bundle: Callable[..., Bundle],
    write_boxed_data: Callable[[Path, InputSpec], Path],
) -> tuple[Bundle, Path]:
    """A bundle, and data on which it is perfect."""
    size = SIZES[request.param]
    variant = "patch" if size.width == 64 else "wide"
    return write_patch_bundle(tmp_path, variant, size), write_boxed_data(tmp_path / "data", size)


def test_boxes_lie_where_the_objects_are(boxed: tuple[Bundle, Path]) -> None:
    bundle, data = boxed
    session = LocalDevice().load(bundle, bundle.files[0])
    assert session.golden().lowest_iou > 0.9999
    pictures = sorted((data / "val2017").iterdir())
    for frame, pixels in zip(session.detect(pictures), PIXELS[bundle.spec.input.width], strict=True):
        found = frame.detections
        corners = found.boxes_xyxy[np.lexsort((found.boxes_xyxy[:, 0], found.boxes_xyxy[:, 1]))]
        expected = np.concatenate((CELLS[:, ::-1], CELLS[:, ::-1] + 1), axis=1) * pixels
        np.testing.assert_allclose(corners, expected, atol=1e-3)


def test_the_score_and_predictions_are_those_of_the_pictures(boxed: tuple[Bundle, Path], tmp_path: Path) -> None:
    bundle, data = boxed
    out = tmp_path / "result.json"
    assert cli.main(["evaluate", str(bundle.path), "--data", str(data), "--no-latency", "--out", str(out)]) == 0
    accuracy = read_result(out).accuracy
    assert accuracy is not None
    assert accuracy.metrics.AP > 0.99
    with Detector.open(bundle) as detector:
        found = detector.detect(data / "val2017" / "1.png")
    listing = json.loads((data / "annotations" / "instances_val2017.json").read_text())
    truth = sorted(tuple(box["bbox"][:2]) for box in listing["annotations"] if box["image_id"] == 2)
    np.testing.assert_allclose(sorted(map(tuple, found.boxes[:, :2].tolist())), truth, atol=1e-3)


def test_a_device_that_stretches_a_letterbox_is_found_out(
    tmp_path: Path, write_patch_bundle: Callable[..., Bundle]
) -> None:
    bundle = write_patch_bundle(tmp_path, "patch", SIZES["square-centre"])
    stretched = dataclasses.replace(bundle.spec, input=InputSpec(64, 64))
    session = LocalDevice().load(dataclasses.replace(bundle, spec=stretched), bundle.files[0])
    with pytest.raises(UserError, match="it decodes or resizes images differently"):
        session.golden()
