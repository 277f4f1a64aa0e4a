"""A letterbox on its way out: what an export says of it, and the whole way from training to the score."""

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle, ModelFile, open_bundle
from mobiledet.evaluation.result import read_result
from mobiledet.spec import InputSpec
from mobiledet_converters.summary import letterbox_notes
from mobiledet_converters.tflite.metadata import metadata_buffer

BOXED = InputSpec(64, 64, resize="letterbox", padding="black", placement="top-left")


def test_an_export_says_who_cannot_letterbox(
    write_patch_bundle: Callable[..., Bundle], patch_bundle: Bundle, tmp_path: Path
) -> None:
    bundle = write_patch_bundle(tmp_path, "patch", dataclasses.replace(BOXED, placement="centre"))
    (line,) = letterbox_notes(bundle)
    assert line.startswith("MediaPipe's ObjectDetector stretches images, this model needs a letterbox (black, centre)")
    package = ModelFile("model.float16.vision.mlpackage", "coreml", "float16", 0, "", face="vision")
    (line,) = letterbox_notes(dataclasses.replace(bundle, files=(package,)))
    assert line.startswith("Vision: set imageCropAndScaleOption = .scaleFit")
    assert not list(letterbox_notes(patch_bundle))


def test_metadata_name_the_letterbox(patch_bundle: Bundle) -> None:
    assert b"letterbox" not in metadata_buffer(patch_bundle.spec)
    boxed = dataclasses.replace(patch_bundle.spec, input=BOXED)
    assert b"RGB image, values 0..255. Trained on images in a letterbox (black, top-left)." in metadata_buffer(boxed)


@pytest.mark.exhaustive
def test_from_training_to_the_score(scene_folder: Path, tmp_path: Path) -> None:
    """One network at 96 x 160 in a letterbox: the file finds what PyTorch finds, and the device what the file does."""
    data, run, bundle, result = (
        str(scene_folder.parent),
        tmp_path / "run",
        tmp_path / "x.mobiledet",
        tmp_path / "r.json",
    )
    train = (
        "--backbone shufflenet_v2_0.5x --image-size 96x160 --resize letterbox --epochs 30 --batch-size 8 --workers 0"
    )
    assert cli.main(["train", "--data", data, *train.split(), "--out", str(run)]) == 0
    export = "--format tflite --precision float32 --parity-images 8 --measure-images 12"
    assert cli.main(["export", str(run / "best.ckpt"), *export.split(), "--out", str(bundle)]) == 0
    opened = open_bundle(bundle)
    assert opened.spec.input.resize == "letterbox"
    with zipfile.ZipFile(opened.root / opened.files[0].path) as archive:
        assert json.loads(archive.read("mobiledet.json"))["input"]["resize"] == "letterbox"
    assert cli.main(["evaluate", str(bundle), "--data", data, "--no-latency", "--out", str(result)]) == 0
    accuracy, measured = read_result(result).accuracy, opened.files[0].map
    assert accuracy is not None
    assert measured is not None
    assert pytest.approx(measured["AP"], abs=1e-9) == accuracy.metrics.AP
    assert measured["AP"] == pytest.approx(measured["pytorch"], abs=1e-3)
    assert measured["AP"] > 0
