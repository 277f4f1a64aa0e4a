"""Every family of backbones, trained a little on shapes, exported to both formats and held against PyTorch."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.backbones import BACKBONES
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export

SIDE = 64
# ShuffleNetV2's is the bundle of the other tests; the MobileNets have no layers that these have not
MOST_UNLIKE = ("shufflenet_v1_0.25x_g3", "ghostnet_0.5x")
OTHERS = [key for key in BACKBONES if key not in MOST_UNLIKE]


@pytest.mark.parametrize(
    "backbone", [*MOST_UNLIKE, *(pytest.param(key, marks=pytest.mark.exhaustive) for key in OTHERS)]
)
def test_files_find_what_pytorch_finds(
    backbone: str, train_on_scenes: Callable[..., Path], scene_folder: Path, tmp_path: Path
) -> None:
    checkpoint = train_on_scenes(backbone, side=SIDE, steps=20)
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
    transposes = (bundle.select("float32").parity or {})["operations"].get("TRANSPOSE", 0)
    # ShuffleNetV1's shuffles cross groups; the first of each network is absorbed
    assert transposes == (15 if "shufflenet_v1" in backbone and not backbone.endswith("_g1") else 0)
