"""Families of backbones and detectors, trained a little on shapes, exported to both formats, held against PyTorch."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.backbones import BACKBONES
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export

SIDE = 64
# ShuffleNetV2 with ssdlite is the bundle of the other tests; NanoDet-Plus's neck is made of Ghost modules, and the
# MobileNets have no layers that these have not. ShuffleNetV1: passes/test_passes.py, coreml/test_lowering.py, profile
MOST_UNLIKE = ("fd_mobilenet_0.25x", "nanodet_plus")
ONE_OF_EACH_FAMILY = (
    "mobilenet_v1_0.25x",
    "mobilenet_v2_0.35x",
    "shufflenet_v1_0.25x_g3",
    "shufflenet_v2_0.5x",
    "ghostnet_0.5x",
    "fd_mobilenet_0.25x",
)
ALL = {*((key, "ssdlite") for key in BACKBONES), *((key, "nanodet_plus") for key in ONE_OF_EACH_FAMILY)}
OTHERS = sorted(ALL.difference({MOST_UNLIKE}))


@pytest.mark.timeout(1200)  # on a busy machine
@pytest.mark.parametrize(
    ("backbone", "detector"), [MOST_UNLIKE, *(pytest.param(*pair, marks=pytest.mark.exhaustive) for pair in OTHERS)]
)
def test_files_find_what_pytorch_finds(
    backbone: str,
    detector: str,
    train_on_scenes: Callable[..., Path],
    scene_folder: Path,
    tmp_path: Path,
) -> None:
    checkpoint = train_on_scenes(backbone, detector, side=SIDE, steps=20)
    config = ExportConfig(
        checkpoint,
        tmp_path / "x.mobiledet",
        ("tflite", "coreml"),
        ("float32",),
        face=("graph",),
        images=scene_folder,
        parity_images=4,
    )
    bundle = export(config)
    assert [file.format for file in bundle.files] == ["tflite", "coreml"]
    for file in bundle.files:
        parity = file.parity or {}
        assert parity["matched"] == parity["expected"] > 20, file.path
        assert parity["lowest_iou"] > 0.999
        assert parity["largest_score_difference"] < 1e-4
    figures = bundle.select("float32").parity or {}
    assert figures["max_rank"] <= 4
    if detector == "ssdlite":
        # ShuffleNetV1's shuffles cross groups; the first of each network is absorbed
        has_shuffles = "shufflenet_v1" in backbone and not backbone.endswith("_g1")
        assert figures["operations"].get("TRANSPOSE", 0) == (15 if has_shuffles else 0)
