import shutil
from pathlib import Path

import numpy as np
import pytest

from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError


@pytest.mark.parametrize(("accelerator", "actual"), [("auto", "xnnpack"), ("xnnpack", "xnnpack"), ("cpu", "cpu")])
def test_detects_a_square(patch_files: Path, accelerator: str, actual: str) -> None:
    detector = LiteRtDetector(patch_files / "patch.tflite", accelerator, threads=2)
    assert (detector.height, detector.width, detector.accelerator) == (64, 64, actual)
    image = np.zeros((64, 64, 3), np.uint8)
    image[8:16, 40:48, 1] = 250
    for _ in range(3):  # the same each time: the input is set anew
        detector.set_input(image)
        detector.invoke()
        found = detector.detections(image_height=128, image_width=640)
        np.testing.assert_allclose(found.boxes_xyxy, [[400, 16, 480, 32]], atol=1e-3)
        np.testing.assert_allclose(found.scores, [250 / 255], atol=1e-6)
        np.testing.assert_array_equal(found.labels, [1])


def test_share_of_operations(patch_files: Path) -> None:
    """XNNPACK takes the division, the pooling and the reshapes, but neither TOPK_V2 nor integer arithmetic."""
    assert 0.3 < LiteRtDetector(patch_files / "patch.tflite").delegated_share < 0.6
    assert LiteRtDetector(patch_files / "patch.tflite", "cpu").delegated_share == 0


def test_output_names_are_required(patch_files: Path) -> None:
    with pytest.raises(
        UserError, match=r"unnamed\.tflite is not a mobiledet detector.*its outputs: output_0, output_1"
    ):
        LiteRtDetector(patch_files / "unnamed.tflite")


def test_outputs_that_are_no_numbers_are_refused(patch_files: Path) -> None:
    detector = LiteRtDetector(patch_files / "not_a_number.tflite")
    detector.set_input(np.zeros((64, 64, 3), np.uint8))
    detector.invoke()
    with pytest.raises(UserError, match="not finite"):
        detector.detections(64, 64)


def test_class_that_the_model_does_not_have(patch_files: Path) -> None:
    detector = LiteRtDetector(patch_files / "patch.tflite")
    image = np.zeros((64, 64, 3), np.uint8)
    image[:8, :8, 2] = 250
    detector.set_input(image)
    detector.invoke()
    assert list(detector.detections(64, 64, class_count=3).labels) == [2]
    with pytest.raises(UserError, match=r"patch\.tflite: gives class 2, its classes are 0 to 1"):
        detector.detections(64, 64, class_count=2)


def test_files_that_cannot_be_loaded(patch_files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"LiteRT cannot load .*none\.tflite"):
        LiteRtDetector(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("no flatbuffer")
    with pytest.raises(UserError, match=r"LiteRT cannot load .*text\.tflite"):
        LiteRtDetector(tmp_path / "text.tflite")
    with pytest.raises(UserError, match="unknown accelerator 'xnpack'; did you mean xnnpack"):
        LiteRtDetector(patch_files / "patch.tflite", "xnpack")


def test_truncated_file(patch_files: Path, tmp_path: Path) -> None:
    shutil.copy(patch_files / "patch.tflite", tmp_path / "half.tflite")
    content = (tmp_path / "half.tflite").read_bytes()
    (tmp_path / "half.tflite").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"half\.tflite"):
        LiteRtDetector(tmp_path / "half.tflite")
