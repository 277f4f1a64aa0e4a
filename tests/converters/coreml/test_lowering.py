"""The ways from PyTorch to an ML Program."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mobiledet.checkpoint import load_detector
from mobiledet.errors import UserError
from mobiledet.mil.model import CoreMlModel
from mobiledet.spec import OUTPUTS
from mobiledet_converters.coreml.compress import compress
from mobiledet_converters.coreml.framework import load_coremltools
from mobiledet_converters.coreml.lowering import EXPORT, TRACE, lower
from mobiledet_converters.coreml.targets import OLDEST_IOS
from mobiledet_converters.coreml.validate import read_program
from mobiledet_converters.raw_outputs import difference
from mobiledet_converters.wrapper import DetectionGraph

PIXELS = np.random.default_rng(4).integers(0, 256, (96, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def ct() -> Any:
    return load_coremltools()


def run(program: Any, path: Path, pixels: np.ndarray = PIXELS) -> dict[str, np.ndarray]:
    program.model.save(str(path))
    return CoreMlModel(path).predict({"image": pixels})


def test_traced_detector_with_shuffles_is_the_same(ct: Any, scene_checkpoint: Path, tmp_path: Path) -> None:
    """Sizes inside of a trace are what coremltools stumbles over under a new NumPy."""
    detector, spec = load_detector(scene_checkpoint)
    graph = DetectionGraph(detector, spec).eval()
    program = lower(ct, graph, (96, 96), tuple(OUTPUTS), 17, False, routes=(TRACE,))
    assert program.route == TRACE
    found = run(program, tmp_path / "x.mlpackage")
    with torch.inference_mode():
        expected = graph(torch.from_numpy(PIXELS).permute(2, 0, 1)[None])
    for name, values in expected._asdict().items():
        assert difference(values.numpy(), found[name]).sqnr_db > 80, name


class DependsOnPixels(nn.Module):
    """What torch.export refuses and a trace takes."""

    def forward(self, image: Tensor) -> Tensor:
        return image * 2 if image.sum() >= 0 else image


class DependsOnNothing(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.linalg.eigvals(image).abs()


def test_trace_is_the_fallback(ct: Any, tmp_path: Path) -> None:
    program = lower(ct, DependsOnPixels(), (96, 96), ("y",), 17, False)
    assert program.route == TRACE
    np.testing.assert_allclose(run(program, tmp_path / "x.mlpackage")["y"][0], 2.0 * PIXELS.transpose(2, 0, 1))


def test_both_reasons_are_told(ct: Any) -> None:
    with pytest.raises(UserError, match=rf"cannot lower the network; {EXPORT}: .*; {TRACE}: "):
        lower(ct, DependsOnNothing(), (96, 96), ("y",), 17, False)


@pytest.mark.parametrize(("ios", "version"), [(15, 6), (16, 7), (18, 9), (26, 10)])
def test_every_ios(ct: Any, tmp_path: Path, ios: int, version: int) -> None:
    class Small(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Conv2d(3, 4, 3, 2), nn.ReLU6(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 64, 3))

    torch.manual_seed(0)
    network = Small().eval()
    program = lower(ct, network, (96, 96), ("y",), ios, False)
    assert program.model.get_spec().specificationVersion == version
    with torch.inference_mode():
        expected = network(torch.from_numpy(PIXELS).permute(2, 0, 1)[None].float()).numpy()
    assert difference(expected, run(program, tmp_path / "x.mlpackage")["y"]).sqnr_db > 80
    written = [program.model]
    if ios >= OLDEST_IOS["palette6"]:
        float16 = lower(ct, network, (96, 96), ("y",), ios, True)
        written.append(compress(ct, float16.model, "palette6"))
    for model in written:
        operations, problems = read_program(model.get_spec(), model.weights_dir)
        assert operations["conv"] == 2
        assert not problems


Train = Callable[..., Path]


@pytest.mark.exhaustive
@pytest.mark.parametrize("ios", [15, 16, 18, 26])
@pytest.mark.parametrize("detector", ["ssdlite", "ssdlite_fpn", "faster_rcnn_fpn"])
def test_every_detector_on_every_ios(
    train_on_scenes: Train, scene_folder: Path, tmp_path: Path, ios: int, detector: str
) -> None:
    from mobiledet_converters.config import ExportConfig
    from mobiledet_converters.export import export

    checkpoint = train_on_scenes("shufflenet_v2_0.5x", detector, side=64)
    config = ExportConfig(
        checkpoint,
        tmp_path / "x.mobiledet",
        ("coreml",),
        tuple(name for name, oldest in OLDEST_IOS.items() if oldest <= ios),  # type: ignore[arg-type]
        ios=ios,  # type: ignore[arg-type]
        images=scene_folder,
        calibration=str(scene_folder.parent),
    )
    for file in export(config).files:
        parity = file.parity or {}
        if file.precision == "float32":
            assert parity["matched"] > 0.98 * parity["expected"] > 10
