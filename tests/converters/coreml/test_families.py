"""Every family with both kinds of heads as Core ML packages, in every precision and both faces, through the gate."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export

FAMILIES = (
    "mobilenet_v1_0.25x",
    "mobilenet_v2_0.35x",
    "shufflenet_v1_0.25x_g3",
    "shufflenet_v2_0.5x",
    "ghostnet_0.5x",
    "fd_mobilenet_0.25x",
)


@pytest.mark.exhaustive
@pytest.mark.parametrize("detector", ["ssdlite", "ssdlite_fpn", "faster_rcnn", "faster_rcnn_fpn", "nanodet_plus"])
@pytest.mark.parametrize("backbone", FAMILIES)
def test_ladder_passes_the_gate(
    backbone: str, detector: str, train_on_scenes: Callable[..., Path], scene_folder: Path, tmp_path: Path
) -> None:
    config = ExportConfig(
        train_on_scenes(backbone, detector),
        tmp_path / "x.mobiledet",
        ("coreml",),
        ("float32", "float16", "int8", "palette6", "w8a8"),
        images=scene_folder,
        calibration=str(scene_folder.parent),
    )
    bundle = export(config)
    assert len(bundle.files) == 10
    for file in bundle.files:
        parity = file.parity or {}
        if file.precision == "float32":
            assert parity["matched"] == parity["expected"] > 10, file.path
            assert parity["lowest_iou"] >= 0.99
            assert parity["largest_score_difference"] < 1e-3
        if file.precision == "w8a8":
            assert parity["codes"]["equal"] >= 0.99
            assert parity["weights"]["share"] > 0.9
