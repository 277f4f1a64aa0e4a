"""The endings of .tflite files besides the default one, exported for real."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mobiledet.bundle import Bundle
from mobiledet.checkpoint import load_detector
from mobiledet.detectors import detector_from_spec
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export
from mobiledet_converters.raw_file import RawLiteRtDetector, open_tflite
from mobiledet_converters.tflite.ending import choose_ending
from mobiledet_converters.wrapper import AnchorTable


@pytest.fixture(scope="module")
def bundles(scene_checkpoint: Path, scene_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """Float32 files with the custom operation and without any post-processing."""
    folder = tmp_path_factory.mktemp("endings")
    return {
        kind: export(
            ExportConfig(
                scene_checkpoint,
                folder / f"{kind}.mobiledet",
                ("tflite",),
                ("float32",),
                postprocess=kind,
                judge=False,
                images=scene_folder,
            )
        )
        for kind in ("custom-op", "none")
    }


@pytest.mark.exhaustive
def test_both_find_what_pytorch_finds(bundles: dict[str, Bundle]) -> None:
    for bundle in bundles.values():
        parity = bundle.files[0].parity or {}
        assert parity["matched"] == parity["expected"] > 100


@pytest.mark.exhaustive
def test_the_custom_operation_ends_the_file(bundles: dict[str, Bundle], exported_bundle: Bundle) -> None:
    parity = bundles["custom-op"].files[0].parity or {}
    assert parity["operations"]["CUSTOM"] == 1
    assert "TOPK_V2" not in parity["operations"]
    path = bundles["custom-op"].root / "model.float32.tflite"
    assert isinstance(open_tflite(path), LiteRtDetector)
    assert path.stat().st_size < (exported_bundle.root / "model.float32.tflite").stat().st_size


@pytest.mark.exhaustive
def test_raw_outputs_come_with_their_anchors(bundles: dict[str, Bundle], scene_checkpoint: Path) -> None:
    detector, _ = load_detector(scene_checkpoint)
    path = bundles["none"].root / "model.float32.tflite"
    assert isinstance(open_tflite(path), RawLiteRtDetector)
    with zipfile.ZipFile(path) as archive:
        anchors = np.frombuffer(archive.read("anchors.f32"), "<f4").reshape(-1, 4)
        values = json.loads(archive.read("mobiledet.json"))
    assert list(values["outputs"]) == ["deltas", "scores"]
    assert values["anchors"]["file"] == "anchors.f32"
    np.testing.assert_array_equal(anchors, AnchorTable.of(detector).yxhw)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no signature with the outputs boxes"):
        LiteRtDetector(path)


@pytest.mark.parametrize(("kind", "detector"), [("custom-op", "faster_rcnn"), ("none", "nanodet_plus")])
def test_a_detector_without_anchors_or_of_two_stages_has_one_ending(kind: str, detector: str) -> None:
    spec = ModelSpec("x", "shufflenet_v2_0.5x", detector, InputSpec(64, 64), ("a",), (1,))
    with pytest.raises(
        UserError, match=f"--postprocess {kind} is for one-stage detectors with anchors, which {detector} is not"
    ):
        choose_ending(kind, detector_from_spec(spec), spec)
