"""NanoDet-Plus, trained a little on shapes, exported to both formats and held against PyTorch."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.errors import UserError
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export

FAMILIES = (
    "mobilenet_v1_0.25x",
    "mobilenet_v2_0.35x",
    "shufflenet_v1_0.25x_g3",
    "ghostnet_0.5x",
    "fd_mobilenet_0.25x",
)


@pytest.mark.parametrize(
    "backbone",
    ["shufflenet_v2_0.5x", *(pytest.param(key, marks=pytest.mark.exhaustive) for key in FAMILIES)],
)
def test_files_find_what_pytorch_finds(
    backbone: str, train_on_scenes: Callable[..., Path], scene_folder: Path, tmp_path: Path
) -> None:
    checkpoint = train_on_scenes(backbone, "nanodet_plus", side=64, steps=20)
    with pytest.raises(UserError, match="detectors of one stage with anchors, which nanodet_plus is not"):
        export(ExportConfig(checkpoint, tmp_path / "y.mobiledet", ("tflite",), postprocess="none"))
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
    assert (bundle.select("float32").parity or {})["max_rank"] <= 4
