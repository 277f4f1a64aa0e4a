"""Core AI assets: written, run in Apple's runtime, and held against the interpreter's run of the Core ML packages.

One file, so that one process converts: the files of its fixtures serve all tests.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.checkpoint import load_detector
from mobiledet.cli import main
from mobiledet.data.coco import load_coco
from mobiledet.data.images import load_rgb
from mobiledet.data.resize import resize
from mobiledet.detections import Detections
from mobiledet.detectors import DETECTORS
from mobiledet.devices import coreai
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.devices.coreai import CoreAiDetector
from mobiledet.devices.coreml import CoreMlDetector
from mobiledet.devices.local import LocalDevice
from mobiledet.devices.served import ServedDetector
from mobiledet.errors import UserError
from mobiledet.matching import Tolerance, compare_lists
from mobiledet.spec import ModelSpec
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.coreai.read import Asset, Operation, Tensor, read_in_process
from mobiledet_converters.coreai.validate import validate
from mobiledet_converters.export import export
from mobiledet_converters.job import ConversionJob
from mobiledet_converters.lint.asset_rules import check_asset
from mobiledet_converters.lint.run import lint_file
from mobiledet_converters.measure import PYTORCH, TorchModel, measure_map
from mobiledet_converters.parity import compare, problem
from mobiledet_converters.precisions import COREAI
from mobiledet_converters.process import Conversion, missing_package
from mobiledet_converters.reference import make_reference
from mobiledet_converters.rounding import Rounding

FAMILIES = (
    "mobilenet_v1_0.25x",
    "mobilenet_v2_0.35x",
    "shufflenet_v1_0.25x_g3",
    "shufflenet_v2_0.5x",
    "ghostnet_0.5x",
    "fd_mobilenet_0.25x",
)
BOTH = ("coreml", "coreai")
PRECISIONS = ("float32", "float16")
Packages = Mapping[str, Path]  # by precision

if lacking := missing_package("coreai"):
    reason = f"{lacking} is not installed: pip install 'mobiledet[coreai]'"
    if os.environ.get("MOBILEDET_REQUIRE_REAL_PARTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture(scope="module")
def bundle(scene_checkpoint: Path, scene_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("coreai") / "x.mobiledet"
    return export(ExportConfig(scene_checkpoint, out, ("coreai",), PRECISIONS, images=scene_folder, parity_images=4))


@pytest.fixture(scope="module")
def packages(exported_bundle: Bundle, scene_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The same detector for Core ML."""
    folder = tmp_path_factory.mktemp("coreml")
    with Conversion(
        "coreml", ConversionJob(scene_checkpoint, folder, ("float32",), {}, faces=("graph",))
    ) as conversion:
        (float32,) = conversion.answer().files
    return {"float32": folder / float32.name, "float16": exported_bundle.root / "model.float16.mlpackage"}


@pytest.fixture(scope="module")
def asset(bundle: Bundle) -> Path:
    return bundle.root / "model.float32.aimodel"


@pytest.fixture(scope="module")
def content(asset: Path) -> Asset:
    return read_in_process(asset)


@pytest.fixture(scope="module")
def inputs(bundle: Bundle, scene_folder: Path) -> list[np.ndarray]:
    size = bundle.spec.input
    return [resize(load_rgb(path), size.height, size.width) for path in sorted(scene_folder.iterdir())[:4]]


def test_bundle_says_how_the_files_were_checked(bundle: Bundle) -> None:
    files = [file for file in bundle.files if file.format == "coreai"]
    assert [(file.path, file.precision) for file in files] == [
        ("model.float32.aimodel", "float32"),
        ("model.float16.aimodel", "float16"),
    ]
    float32, float16 = (file.parity or {} for file in files)
    assert float32["checked"] == "detections in Apple's runtime against PyTorch"
    assert float32["verified"] == "run in Apple's runtime (coreai-core 1.0.0b3) on a CPU, not on a device"
    assert float32["matched"] == float32["expected"] > 40
    assert float32["lowest_iou"] > 0.999
    assert float32["largest_score_difference"] < 1e-4
    assert {"class_logits", "box_deltas"} == set(float32["raw"])
    assert min(difference["sqnr_db"] for difference in float32["raw"].values()) > 90
    assert min(difference["sqnr_db"] for difference in float16["raw"].values()) > 30
    assert float16["matched"] > 0.95 * float16["expected"]
    assert float16["largest_score_difference"] > float32["largest_score_difference"]
    assert files[1].bytes < 0.6 * files[0].bytes


def test_asset_tells_what_it_is(bundle: Bundle, content: Asset) -> None:
    about = content.metadata
    assert about["author"].startswith("mobiledet ")
    assert about["license"] == "Apache-2.0"
    assert "ssdlite on shufflenet_v2_0.5x: circle, square" in about["description"]
    own = about["creatorDefinedMetadata"]
    assert own["labels"] == list(bundle.spec.labels)
    assert own["precision"] == "float32"
    assert ModelSpec.from_json(own["mobiledet"], "asset") == bundle.spec


def test_another_spec_is_told(bundle: Bundle, content: Asset) -> None:
    assert validate(content, bundle.spec, 20)["conv2d"] > 20
    other = dataclasses.replace(bundle.spec, nms=dataclasses.replace(bundle.spec.nms, max_detections=7))
    with pytest.raises(UserError, match=r"its outputs are boxes f32 \(1, 40, 4\).* instead of boxes f32 \(1, 7, 4\)"):
        validate(content, other, 20)
    with pytest.raises(UserError, match="convolutions of the network's 1000"):
        validate(content, bundle.spec, 1000)


def test_post_processing_stays_in_32_bits(bundle: Bundle) -> None:
    operations = read_in_process(bundle.root / "model.float16.aimodel").operations
    convolutions = [o for o in operations if o.kind == "conv2d"]
    assert {tensor.dtype for o in convolutions for tensor in o.inputs[:2]} == {"f16"}  # then strides and the like
    ranking = [o for o in operations if o.kind in ("sort", "argsort")]
    assert {tensor.dtype for o in ranking for tensor in o.inputs if tensor.shape} == {"f32"}


def test_golden_cases_and_no_latency(bundle: Bundle) -> None:
    device = LocalDevice()
    session = device.load(bundle, bundle.select("model.float16.aimodel"), threads=1)
    assert session.golden().detections > 10
    assert session.benchmark(BenchmarkPlan()) is None
    assert (session.execution.actual, session.execution.delegated_share) == ("cpu", None)
    assert (device.info().runtime, device.info().runtime_version) == ("coreai-core", "1.0.0b3")


def test_evaluate_gives_the_accuracy_of_pytorch(
    bundle: Bundle, scene_checkpoint: Path, scene_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole command."""
    annotations = (scene_folder.parent / "annotations" / "instances_val2017.json").read_text(encoding="utf-8")
    (tmp_path / "truth.json").write_text(annotations.replace('"star"', '"étoile"'), encoding="utf-8")
    truth, out = tmp_path / "truth.json", tmp_path / "result.json"
    data = ["--images", str(scene_folder), "--annotations", str(truth)]
    assert main(["evaluate", str(bundle.path), "--file", "model.float32.aimodel", "--out", str(out), *data]) == 0
    result = json.loads(out.read_text())
    assert result["latency"] is None
    assert "latency not measured: the times of Apple's runtime" in " ".join(capsys.readouterr().out.split())
    detector, spec = load_detector(scene_checkpoint)
    measured, _ = measure_map({PYTORCH: TorchModel(detector, spec)}, spec, load_coco(scene_folder, truth))
    expected = measured[PYTORCH]["AP"]
    assert expected > 0.1
    assert abs(result["accuracy"]["metrics"]["AP"] - expected) < 1e-3


def found_by(detector: ServedDetector, inputs: Sequence[np.ndarray]) -> list[Detections]:
    """Boxes as fractions."""
    found = []
    for image in inputs:
        detector.set_input(image)
        detector.invoke()
        found.append(detector.detections(1, 1))
    return found


def cross_check(bundle: Bundle, packages: Packages, inputs: Sequence[np.ndarray], closest: float | None) -> None:
    """Hold the package of 32 bits in the interpreter against the asset in Apple's runtime.

    Args:
        bundle: with the assets.
        packages: of the same detector.
        inputs: images.
        closest: how far boxes (as fractions) and scores may be; None compares as sets, by the gate.
    """
    nms, gate = bundle.spec.nms, COREAI["float32"].gate
    tolerance = Tolerance(gate.iou, closest) if closest else gate
    ours, theirs = found_in_both(bundle, packages, "float32", inputs)
    unsettled = 0
    for one, other in zip(ours, theirs, strict=True):
        compared = compare_lists(one, other, nms.score, nms, tolerance)
        for side in (compared.missing, compared.extra):
            assert not len(side.unexplained)
        unsettled += max(len(compared.missing.unsettled), len(compared.extra.unsettled))
        if closest:
            pairs = compared.pairs[compared.good]
            boxes = one.boxes_xyxy[pairs["expected"]] - other.boxes_xyxy[pairs["found"]]
            assert np.abs(boxes).max(initial=0) <= closest
    assert unsettled <= (0 if closest else np.ceil(gate.unsettled * sum(map(len, ours))))


def cross_check_halves(bundle: Bundle, packages: Packages, checkpoint: Path, inputs: Sequence[np.ndarray]) -> None:
    """The same for 16 bits, which each runtime rounds in its own way: they may differ by what the gate allows, which
    knows what such rounding does to this detector."""
    detector, spec = load_detector(checkpoint)
    gate, reference = COREAI["float16"].gate, make_reference(detector, spec, inputs)
    ours, theirs = found_in_both(bundle, packages, "float16", inputs)
    report = compare(ours, theirs, reference.cuts, spec.nms, gate)
    assert not problem(report, gate, Rounding(detector, reference).report(gate))


def found_in_both(
    bundle: Bundle, packages: Packages, precision: str, inputs: Sequence[np.ndarray]
) -> tuple[list[Detections], ...]:
    ours = found_by(CoreMlDetector(packages[precision]), inputs)
    assert sum(map(len, ours)) > 10
    return ours, found_by(CoreAiDetector(bundle.root / f"model.{precision}.aimodel"), inputs)


def test_interpreter_agrees_with_apples_runtime(
    bundle: Bundle, packages: Packages, scene_checkpoint: Path, inputs: list[np.ndarray]
) -> None:
    cross_check(bundle, packages, inputs, 1e-4)
    cross_check_halves(bundle, packages, scene_checkpoint, inputs)


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("backbone", FAMILIES)
def test_every_family_and_detector(
    backbone: str, detector: str, train_on_scenes: Callable[..., Path], scene_folder: Path, tmp_path: Path
) -> None:
    """Converts, passes the gate, and both runtimes agree."""
    checkpoint = train_on_scenes(backbone, detector, side=64, steps=60)
    settings = ExportConfig(checkpoint, tmp_path / "x.mobiledet", BOTH, PRECISIONS, face=("graph",))
    bundle = export(dataclasses.replace(settings, images=scene_folder, parity_images=4))
    assert [file.format for file in bundle.files] == ["coreml"] * 2 + ["coreai"] * 2, list(map(str, bundle.left_out))
    for file in (file for file in bundle.files if file.format == "coreai"):
        levels = {finding.level for finding in lint_file(bundle.root / file.path).findings}
        assert levels <= {"note"}, file.path
    inputs = [resize(load_rgb(path), 64, 64) for path in sorted(scene_folder.iterdir())[:4]]
    is_dense = not detector.startswith("faster_rcnn")
    packages = {precision: bundle.root / f"model.{precision}.mlpackage" for precision in PRECISIONS}
    cross_check(bundle, packages, inputs, 1e-4 if is_dense else None)
    cross_check_halves(bundle, packages, checkpoint, inputs)


def test_lint_finds_nothing_to_mend(bundle: Bundle, tmp_path: Path) -> None:
    report = tmp_path / "lint.json"
    assert main(["lint", str(bundle.path), "--fail-on", "slow", "--json", str(report)]) == 0
    float32, float16 = json.loads(report.read_text())["files"]
    assert [finding["rule"] for finding in float32["findings"]] == ["network of 32 bits"]
    assert float16["findings"] == []
    assert float16["operations"] > 100


FAULTY = """
import sys
from pathlib import Path
import torch
from mobiledet.errors import UserError
from mobiledet_converters.coreai.lowering import lower

class Faulty(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(12, 3000)

    def forward(self, image):
        rows = torch.nn.functional.hardswish(self.linear(image.reshape(1, -1)))
        best, places = rows.topk(5)
        return best, places.float(), rows.argmax(1).float()

class Bessel(torch.nn.Module):
    def forward(self, values):
        return torch.special.bessel_j0(values)

class Unknown(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.neck = torch.nn.Sequential(torch.nn.Identity(), Bessel())

    def forward(self, image):
        return self.neck(image)

lowered = lower(Faulty(), (2, 2), ("best", "places", "index"), "float16")
lowered.program.save_asset(Path(sys.argv[1]))
try:
    lower(Unknown(), (2, 2), ("values",), "float32")
except UserError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An asset with the forms that Apple's accelerators compute wrongly, and what an unknown operation is told as."""
    path = tmp_path_factory.mktemp("faulty") / "faulty.aimodel"
    done = subprocess.run([sys.executable, "-c", FAULTY, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path, done.stdout.splitlines()[-1]


def test_lint_tells_what_accelerators_compute_wrongly(faulty: tuple[Path, str]) -> None:
    findings = {finding.rule: finding for finding in lint_file(faulty[0]).findings}
    assert {rule: finding.level for rule, finding in findings.items()} == {
        "index of 16-bit numbers": "broken",
        "top-k of 16-bit numbers": "broken",
        "product before hard swish": "broken",
    }
    assert findings["index of 16-bit numbers"].found == "1 argmax on 16-bit numbers (coreai-torch issue 116)"


def test_unknown_operation_is_told_with_its_place(faulty: tuple[Path, str]) -> None:
    assert faulty[1] == "Core AI does not support aten.special_bessel_j0.default in neck.1 (Bessel)"


def test_lint_rules_on_shapes() -> None:
    """What no network of ours has, as records."""
    empty = Operation(0, "split", (Tensor((1, 4), "f32"),), (Tensor((1, 4), "f32"), Tensor((1, 0), "f32")), ())
    changing = Operation(1, "add", (Tensor((-1, 4), "f32"),), (Tensor((-1, 4), "f32"),), ())
    rules = [finding.rule for finding in check_asset(Asset("x", {}, {}, {}, (empty, changing)))]
    assert rules == ["empty tensor", "changing shape"]


def copied(asset: Path, folder: Path) -> Path:
    return Path(shutil.copytree(asset, folder / asset.name))


def test_damage_is_told(asset: Path, tmp_path: Path) -> None:
    changed = copied(asset, tmp_path / "changed")
    program = bytearray((changed / "main.mlirb").read_bytes())
    program[len(program) // 2] ^= 0xFF
    (changed / "main.mlirb").write_bytes(program)
    with pytest.raises(UserError, match=r"is damaged: main\.mlirb does not match its checksum"):
        CoreAiDetector(changed)
    with pytest.raises(UserError, match=r"is damaged: main\.mlirb does not match its checksum"):
        lint_file(changed)

    cut = copied(asset, tmp_path / "cut")
    (cut / "main.mlirb").write_bytes(b"ML\xefR" + bytes(100))
    (cut / "main.hash").write_bytes(hashlib.sha256((cut / "main.mlirb").read_bytes()).digest())
    with pytest.raises(UserError, match=r"cannot load .*cut|Apple's runtime of .*cut.* has stopped"):
        CoreAiDetector(cut)

    headless = copied(asset, tmp_path / "headless")
    (headless / "metadata.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"is damaged: metadata\.json is not JSON"):
        CoreAiDetector(headless)
    with pytest.raises(UserError, match="is not a Core AI asset"):
        CoreAiDetector(tmp_path)


def test_wrong_image_is_refused_and_the_process_goes_on(asset: Path, inputs: list[np.ndarray]) -> None:
    detector = CoreAiDetector(asset)
    with pytest.raises(UserError, match=r"the input image is \(5, 96, 3\), not \(96, 96, 3\)"):
        detector.tensors(np.zeros((5, 96, 3), np.uint8), [])
    assert len(found_by(detector, inputs[:1])[0]) > 3


def test_asset_of_another_model_is_refused(bundle: Bundle) -> None:
    size = dataclasses.replace(bundle.spec.input, height=64, width=64)
    other = dataclasses.replace(bundle, spec=dataclasses.replace(bundle.spec, input=size))
    with pytest.raises(UserError, match=r"takes 96 x 96 pixels, bundle\.json says 64 x 64"):
        LocalDevice().load(other, bundle.select("model.float32.aimodel"))


def test_untested_version_of_the_beta_is_refused(asset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreai, "version", lambda _: "1.0.0b4")
    with pytest.raises(UserError, match=r"coreai-core 1\.0\.0b4 is installed, but this beta was tested with 1\.0\.0b3"):
        CoreAiDetector(asset)


def test_missing_runtime_is_told(asset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreai, "find_spec", lambda _: None)
    with pytest.raises(
        UserError, match=r"needs coreai-core, which is not installed: .*mobiledet\[coreai\].*glibc 2\.34"
    ):
        CoreAiDetector(asset)


def test_entry_of_unknown_format_is_refused(bundle: Bundle) -> None:
    file = ModelFile("model.float32.aimodel", "onnx", "float32", 0, "")
    with pytest.raises(UserError, match="this machine runs tflite, coreml and coreai files"):
        LocalDevice().load(bundle, file)
