"""A Core ML package as a file that this machine runs, in the interpreter's process."""

import dataclasses
import gc
import json
from pathlib import Path

import numpy as np
import pytest

from mobiledet.bundle import Bundle
from mobiledet.cli import main
from mobiledet.devices import coreml
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.devices.coreml import CoreMlDetector
from mobiledet.devices.local import LocalDevice, LocalSession
from mobiledet.errors import UserError


@pytest.fixture(scope="module")
def package(exported_bundle: Bundle) -> Path:
    return exported_bundle.root / exported_bundle.select(format="coreml").path


@pytest.fixture(scope="module")
def device() -> LocalDevice:
    return LocalDevice()


@pytest.fixture(scope="module")
def session(exported_bundle: Bundle, device: LocalDevice) -> LocalSession:
    return device.load(exported_bundle, exported_bundle.select(format="coreml"), threads=1)


def test_golden_cases(session: LocalSession) -> None:
    report = session.golden()
    assert report.cases == 3
    assert report.detections > 20
    assert report.lowest_iou > 0.95


def test_execution_says_what_it_is(session: LocalSession, device: LocalDevice) -> None:
    execution = session.execution
    assert (execution.requested, execution.actual, execution.threads) == ("auto", "interpreter", 1)
    assert execution.delegated_share is None
    assert device.info().runtime == "mobiledet MIL interpreter"


def test_there_is_no_latency(session: LocalSession) -> None:
    assert session.benchmark(BenchmarkPlan()) is None


def test_other_runtime_comes_back_with_its_file(exported_bundle: Bundle) -> None:
    device = LocalDevice()
    device.load(exported_bundle, exported_bundle.select("float32"), threads=1)
    assert device.info().runtime == "litert"


def test_evaluate_gives_the_accuracy_of_tflite(exported_bundle: Bundle, scene_folder: Path, tmp_path: Path) -> None:
    """The whole command; both files come from one network, so their mAP is the same but for rounding."""
    annotations = (scene_folder.parent / "annotations" / "instances_val2017.json").read_text(encoding="utf-8")
    (tmp_path / "truth.json").write_text(annotations.replace('"star"', '"étoile"'), encoding="utf-8")
    data = ["--images", str(scene_folder), "--annotations", str(tmp_path / "truth.json")]
    ap = {}
    for file in ("model.float16.mlpackage", "model.float16.tflite"):
        out = tmp_path / f"{file}.json"
        arguments = ["evaluate", str(exported_bundle.path), "--file", file, "--out", str(out), *data]
        assert main([*arguments, "--min-runs", "2", "--min-seconds", "0", "--warmup-seconds", "0"]) == 0
        result = json.loads(out.read_text())
        ap[file] = result["accuracy"]["metrics"]["AP"]
        assert (result["latency"] is None) == file.endswith("mlpackage")
    assert ap["model.float16.tflite"] > 0.1
    assert abs(ap["model.float16.mlpackage"] - ap["model.float16.tflite"]) < 0.01


def test_errors_are_told_in_one_line(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="unknown accelerator 'xnnpack'; valid names: auto, interpreter"):
        CoreMlDetector(package, "xnnpack")
    with pytest.raises(UserError, match="is not a Core ML package"):
        CoreMlDetector(tmp_path)
    monkeypatch.setattr(coreml, "SERVER", "mobiledet.no_such_module")
    with pytest.raises(
        UserError, match=r"the interpreter of .* has stopped: .*No module named mobiledet.no_such_module"
    ):
        CoreMlDetector(package)


def test_missing_package_is_told(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreml, "find_spec", lambda name: None if name == "coremltools" else name)
    with pytest.raises(
        UserError, match=r"needs coremltools, which is not installed: pip install 'mobiledet\[coreml\]'"
    ):
        CoreMlDetector(package)


def test_wrong_image_is_refused_and_the_process_goes_on(package: Path, exported_bundle: Bundle) -> None:
    detector = CoreMlDetector(package)
    with pytest.raises(UserError, match=r"input image is \(1, 3, 5, 96\)"):
        detector.tensors(np.zeros((5, 96, 3), np.uint8), [])
    case = exported_bundle.golden(exported_bundle.files[0])[0]
    detector.set_input(case.image)
    detector.invoke()
    assert len(detector.detections(96, 96, 6)) >= len(case.expected) - 2
    inner = detector.tensors(case.image, [(1, 40), (1, 40, 4)])
    assert {values.shape for values in inner} == {(1, 40), (1, 40, 4)}


def test_process_ends_with_its_owner(package: Path) -> None:
    detector = CoreMlDetector(package)
    process = detector._process
    assert process.poll() is None
    del detector
    gc.collect()
    assert process.poll() is not None


def test_other_size_is_refused(exported_bundle: Bundle, session: LocalSession) -> None:
    spec = dataclasses.replace(
        exported_bundle.spec, input=dataclasses.replace(exported_bundle.spec.input, height=64, width=64)
    )
    bundle = dataclasses.replace(exported_bundle, spec=spec)
    with pytest.raises(UserError, match=r"takes 96 x 96 pixels, bundle\.json says 64 x 64"):
        LocalSession(bundle, bundle.select(format="coreml"), session._detector, "auto", 1)
