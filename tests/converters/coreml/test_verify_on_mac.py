"""The program for Macs. Apple's runtime exists there alone, so a double stands for its model; all else is real."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mobiledet.bundle import Bundle
from mobiledet.devices.base import BenchmarkPlan, ColdStart
from mobiledet.errors import UserError
from mobiledet.evaluation.result import read_result
from mobiledet.mil.model import CoreMlModel
from mobiledet_converters.coreml import verify_on_mac
from mobiledet_converters.coreml.verify_on_mac import VerifyConfig, load_model, main, verify

PLAN = BenchmarkPlan(warmup_runs=1, warmup_seconds=0, runs=2, seconds=0, warmup_limit_seconds=0)


class InterpretedModel:
    """Double of coremltools' MLModel, whose ``predict`` needs a Mac: the interpreter computes in its place."""

    shift = 0.0

    def __init__(self, path: Path, unit: str) -> None:
        self._model = CoreMlModel(path)
        assert unit in ("CPU_ONLY", "CPU_AND_NE")

    def get_spec(self) -> Any:
        return self._model.message

    def predict(self, features: dict[str, Any]) -> dict[str, np.ndarray]:
        (image,) = features.values()
        assert isinstance(image, Image.Image)
        outputs = self._model.predict({"image": np.asarray(image)})
        return {name: values + self.shift for name, values in outputs.items()}


class ShiftedModel(InterpretedModel):
    """A runtime that computes something else."""

    shift = 0.3


@pytest.fixture
def config(exported_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VerifyConfig:
    # cold starts run the real runtime
    monkeypatch.setattr(verify_on_mac.AppleSession, "_cold_start", lambda self: ColdStart(1, 1, None))
    return VerifyConfig(exported_bundle.path, unit=("cpu", "ane"), out=tmp_path)


def test_every_package_on_every_unit(config: VerifyConfig, exported_bundle: Bundle) -> None:
    paths = verify(config, Console(quiet=True), InterpretedModel, PLAN)
    assert len(paths) == 4
    results = [read_result(path) for path in paths]
    assert {(r.file.face, r.execution.actual) for r in results} == {
        (face, unit) for face in ("graph", "vision") for unit in ("cpu", "ane")
    }
    for result in results:
        assert result.device.runtime == "Core ML"
        assert result.golden.detections > 20
        assert result.latency is not None
        assert result.bundle_sha256 == exported_bundle.sha256


def test_other_detections_are_refused_on_each_unit(config: VerifyConfig, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"4 of 4 checks failed: model\.float16\.mlpackage on cpu, "):
        verify(config, Console(), ShiftedModel, PLAN)
    assert "model.float16.vision.mlpackage on ane: " in capsys.readouterr().out
    assert not list(config.out.glob("*.json"))


def test_elsewhere_it_says_what_to_do(exported_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="Core ML runs only on Apple's systems"):
        load_model(exported_bundle.root / "model.float16.mlpackage", "CPU_ONLY")
    assert main([str(exported_bundle.path), "--unit", "cpu"]) == 2
    assert "2 of 2 checks failed" in capsys.readouterr().err


def test_bundle_without_packages_is_told(patch_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(patch_bundle.path)]) == 2
    assert "contains no Core ML package" in capsys.readouterr().err
    assert json.loads((patch_bundle.path / "bundle.json").read_text())["files"]
