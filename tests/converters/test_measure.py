"""mAP of files beside PyTorch, and which files it keeps out of the bundle."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobiledet.bundle import Bundle
from mobiledet.checkpoint import load_detector
from mobiledet.data.images import load_rgb
from mobiledet.data.read import load_split
from mobiledet.data.record import DataRecord, ImageFileList
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.measure import PYTORCH, TorchModel, load_validation, measure_map, with_drops
from mobiledet_converters.trained_on import DEFAULTS


def test_a_perfect_file_has_an_ap_of_one(patch_bundle: Bundle, patch_data: Path) -> None:
    done: list[None] = []
    model = LiteRtDetector(patch_bundle.root / patch_bundle.files[0].path)
    dataset = load_split(patch_data, "val")
    measured, left_out = measure_map({"file": model}, patch_bundle.spec, dataset, lambda: done.append(None))
    assert measured == {"file": {"AP": 1.0, "AP50": 1.0, "dataset": "patches-val", "images": 6}}
    assert (len(done), left_out) == (6, [])


def test_pytorch_is_measured_like_a_file(scene_checkpoint: Path, scene_folder: Path, exported_bundle: Bundle) -> None:
    detector, spec = load_detector(scene_checkpoint)
    ours, file = TorchModel(detector, spec), LiteRtDetector(exported_bundle.root / "model.float32.tflite")
    image = np.zeros((96, 96, 3), np.uint8)
    image[20:60, 30:70] = 200
    for model in (ours, file):
        model.set_input(image)
        model.invoke()
    expected, found = ours.detections(192, 288), file.detections(192, 288)
    assert len(found) == len(expected) > 3
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=0.05)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_files_are_told_beside_pytorch() -> None:
    entries = {PYTORCH: {"AP": 0.5}, "a.tflite": {"AP": 0.45, "images": 3}}
    assert with_drops(entries) == {"a.tflite": {"AP": 0.45, "images": 3, "pytorch": 0.5, "drop": pytest.approx(0.05)}}


def wanted(**options: object) -> ExportConfig:
    return ExportConfig(Path("best.ckpt"), **options)  # type: ignore[arg-type]


def record(**options: object) -> DataRecord:
    nothing = ImageFileList("", "", (), (), (), "")
    return DataRecord({**DEFAULTS, **options}, nothing, nothing)


def test_validation_images_are_those_of_the_run_by_default(patch_data: Path, patch_bundle: Bundle) -> None:
    chosen, _ = load_validation(wanted(measure_images=4), record(data=str(patch_data)), patch_bundle.spec)
    assert chosen is not None
    assert len(chosen.images) == 4
    annotations = patch_data / "annotations" / "instances_val2017.json"
    run = record(data="shapes", val_images=str(patch_data / "val2017"), val_annotations=str(annotations))
    chosen, _ = load_validation(wanted(measure_images=0), run, patch_bundle.spec)
    assert chosen is not None
    assert len(chosen.images) == 6
    assert load_validation(wanted(), None, patch_bundle.spec) == (
        None,
        "for no validation images are at hand; give --data",
    )


def test_bad_wishes_are_told(
    patch_data: Path, patch_bundle: Bundle, tmp_path: Path, copy_data: Callable[[], Path]
) -> None:
    with pytest.raises(UserError, match="--measure-images -1 is negative"):
        load_validation(wanted(data=str(patch_data), measure_images=-1), None, patch_bundle.spec)
    with pytest.raises(UserError, match="does not exist"):
        load_validation(wanted(data=str(tmp_path / "nowhere")), None, patch_bundle.spec)
    folder = copy_data()
    path = folder / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "annotations": []}))
    with pytest.raises(UserError, match=r"has no boxes in 6 images, so there is no mAP; .* or --no-measure"):
        load_validation(wanted(data=str(folder)), None, patch_bundle.spec)
    assert "has no boxes in 6 images" in load_validation(wanted(), record(data=str(folder)), patch_bundle.spec)[1]
    other = dataclasses.replace(patch_bundle.spec, labels=("red", "green", "yellow"))
    with pytest.raises(UserError, match="has the category 'blue', which patch-64 does not have"):
        load_validation(wanted(data=str(patch_data)), None, other)
    assert "has the category 'blue'" in load_validation(wanted(), record(data=str(patch_data)), other)[1]


def test_damaged_image_stops_or_is_left_out(
    patch_bundle: Bundle, patch_data: Path, copy_data: Callable[[], Path]
) -> None:
    folder = copy_data()
    dataset = load_split(folder, "val")
    dataset.images[1].path.write_bytes(dataset.images[1].path.read_bytes()[:300])
    model = LiteRtDetector(patch_bundle.root / patch_bundle.files[0].path)
    with pytest.raises(UserError, match=r"cannot decode image .*pass --on-bad-data skip"):
        measure_map({"file": model}, patch_bundle.spec, dataset)
    measured, left_out = measure_map({"file": model}, patch_bundle.spec, dataset, on_bad_data="skip")
    assert (measured["file"]["AP"], measured["file"]["images"]) == (1.0, 5)
    assert "cannot decode image" in left_out[0].text


def test_image_of_another_size_is_named(patch_bundle: Bundle, patch_data: Path, copy_data: Callable[[], Path]) -> None:
    folder = copy_data()
    path = sorted((folder / "val2017").iterdir())[0]
    other = sorted((folder / "val2017").iterdir())[1]
    path.write_bytes(other.read_bytes())
    assert load_rgb(path).shape == load_rgb(other).shape
    with pytest.raises(UserError, match=rf"{path.name}\) is 256 x 64 pixels"):
        load_split(folder, "val")


@pytest.fixture
def copy_data(patch_data: Path, tmp_path: Path) -> Callable[[], Path]:
    import shutil

    return lambda: Path(shutil.copytree(patch_data, tmp_path / "copy"))
