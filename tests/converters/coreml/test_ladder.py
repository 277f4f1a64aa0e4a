"""The smaller precisions: what is compressed, what it costs, and whether integers are those of PyTorch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobiledet.checkpoint import load_detector
from mobiledet.data.images import list_images, load_rgb
from mobiledet.data.resize import resize
from mobiledet.mil.model import CoreMlModel
from mobiledet.spec import NmsSpec
from mobiledet_converters.coreml.codes import MilRounding, codes_problem, compare_codes
from mobiledet_converters.coreml.convert import convert
from mobiledet_converters.coreml.framework import load_coremltools
from mobiledet_converters.coreml.quantize import (
    Networks,
    Quantization,
    fold_normalisation,
    networks_of,
    with_networks,
)
from mobiledet_converters.job import ConversionJob, ConvertedFile
from mobiledet_converters.raw_outputs import difference
from mobiledet_converters.wrapper import DetectionGraph, PostProcess


@pytest.fixture(scope="module")
def pixels(scene_folder: Path) -> np.ndarray:
    return np.stack([resize(load_rgb(path), 96, 96) for path in list_images(scene_folder)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ladder")


@pytest.fixture(scope="module")
def ladder(scene_checkpoint: Path, pixels: np.ndarray, folder: Path) -> dict[str, ConvertedFile]:
    np.save(folder / "calibration.npy", pixels)
    precisions = ("float16", "int8", "palette6", "w8a8")
    job = ConversionJob(scene_checkpoint, folder, precisions, {}, folder / "calibration.npy", faces=("graph",))
    return {file.precision: file for file in convert(job)}


def size(path: Path) -> int:
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())


def test_weights_are_compressed_and_what_is_not_is_named(ladder: dict[str, ConvertedFile], folder: Path) -> None:
    sizes = {precision: size(folder / file.name) for precision, file in ladder.items()}
    assert sizes["palette6"] < sizes["int8"] < sizes["float16"]
    for precision in ("int8", "palette6"):
        report = ladder[precision].structure["weights"]
        assert report["share"] > 0.9
        assert 0 < report["compressed"] == report["layers"] - len(report["left_out"])
        assert "backbone_stages_0_branches_1_1_0" in report["left_out"]  # 24 depthwise kernels of 3 x 3
    assert ladder["w8a8"].structure["weights"]["share"] == 1.0
    assert "weights" not in ladder["float16"].structure


def test_operations_are_those_of_the_precision(ladder: dict[str, ConvertedFile]) -> None:
    operations = {precision: file.structure["operations"] for precision, file in ladder.items()}
    assert operations["int8"]["constexpr_affine_dequantize"] == ladder["int8"].structure["weights"]["compressed"]
    palettes, scales = (operations["palette6"].get(f"constexpr_{k}", 0) for k in ("lut_to_dense", "affine_dequantize"))
    assert palettes > scales  # which layers have that no palette suits
    assert palettes + scales == ladder["palette6"].structure["weights"]["compressed"]
    assert operations["w8a8"]["quantize"] > 100
    assert "quantize" not in operations["int8"]


def test_scores_stay(ladder: dict[str, ConvertedFile], folder: Path, pixels: np.ndarray) -> None:
    outputs = {p: CoreMlModel(folder / f.name).predict({"image": pixels[0]}) for p, f in ladder.items()}
    for precision, least_db in {"int8": 30, "palette6": 15, "w8a8": 10}.items():
        assert difference(outputs["float16"]["scores"], outputs[precision]["scores"]).sqnr_db > least_db, precision


def test_integers_are_those_of_pytorch(ladder: dict[str, ConvertedFile]) -> None:
    found = ladder["w8a8"].structure["codes"]
    assert found["equal"] > 0.99
    assert found["tensors"] > 100


def test_other_integers_are_told(
    ladder: dict[str, ConvertedFile],
    folder: Path,
    pixels: np.ndarray,
    scene_checkpoint: Path,
) -> None:
    """A network whose integers were fitted to other images."""
    load_coremltools()
    graph = DetectionGraph(*load_detector(scene_checkpoint)).eval()
    other = Quantization(graph, pixels[:1] // 2)
    codes = compare_codes(other.finalize(), folder / ladder["w8a8"].name, pixels[0])
    assert codes_problem(codes).startswith("it does not compute with PyTorch's integers: ")
    assert ladder["w8a8"].problem == ""


def test_halves_are_rounded_as_mil_rounds() -> None:
    scale = 0.0280303955078125  # of its halves, PyTorch alone rounds 80 otherwise
    halves = np.arange(-100, 100, dtype=np.float32) + np.float32(0.5)
    values = torch.from_numpy(halves * np.float32(scale))
    with MilRounding() as rounding:
        codes = torch.quantize_per_tensor(values, scale, 128, torch.quint8).int_repr().numpy()
    np.testing.assert_array_equal(codes, np.round(values.numpy() / np.float32(scale)) + 128)
    np.testing.assert_array_equal(rounding.codes[0], codes)


def test_nothing_stays_between_a_convolution_and_its_activation() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Identity(), torch.nn.ReLU6())
    left = [node.op for node in fold_normalisation(network).graph.nodes]
    assert left == ["placeholder", "call_module", "call_module", "output"]


@pytest.mark.parametrize("kind", ["ssdlite", "ssdlite_fpn", "faster_rcnn", "faster_rcnn_fpn", "nanodet_plus"])
def test_folding_changes_nothing(kind: str) -> None:
    """Not even where one convolution serves levels with normalisations of their own."""
    from mobiledet.backbones import build_backbone
    from mobiledet.detectors import build_detector

    torch.manual_seed(0)
    detector: Any = build_detector(kind, build_backbone("shufflenet_v2_0.5x"), 3, (64, 64)).eval()
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    images = torch.randn(2, 3, 64, 64)
    other = with_networks(detector, Networks(*map(fold_normalisation, networks_of(detector))))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in other.modules())
    with torch.inference_mode():
        for ours, theirs in zip(other(images), detector(images), strict=True):
            assert difference(theirs.numpy(), ours.numpy()).sqnr_db > 100
        expected, found = (PostProcess(d, NmsSpec())(d.forward_static(images[:1])) for d in (detector, other))
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


@pytest.mark.exhaustive
def test_sizes_of_mobilenet_v2(train_on_scenes: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = train_on_scenes("mobilenet_v2_1x", "ssdlite", side=96, steps=1)
    convert(ConversionJob(checkpoint, tmp_path, ("float16", "int8", "palette6"), {}, faces=("graph",)))
    float16, int8, palette = (size(tmp_path / f"model.{p}.mlpackage") for p in ("float16", "int8", "palette6"))
    assert int8 <= 0.55 * float16
    assert palette <= 0.45 * float16
