"""Whole sweeps, each step a real process."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.data.shapes import write_shapes

QUICK = "--warmup-runs 1 --warmup-seconds 0 --warmup-limit-seconds 0 --min-runs 3 --min-seconds 0"


@pytest.mark.slow
def test_sweep_survives_failures_and_does_nothing_twice(
    patch_bundle: Bundle,
    patch_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    parse: Callable[[str], Any],
) -> None:
    """The bundle has no int8 file, and nothing answers at the address."""
    bundle, out = shutil.copytree(patch_bundle.path, tmp_path / "patch.mobiledet"), tmp_path / "sweep"
    arguments = ["sweep", str(bundle), "--data", str(patch_data), "--out", str(out), "--threads", "1"]
    arguments += ["--precisions", "float32", "int8", "--devices", "local", "http://127.0.0.1:9", "--token", "s" * 20]
    arguments += [f"--evaluate-options={QUICK}"]
    assert cli.main([*arguments, "--dry-run"]) == 0
    assert not out.exists()
    assert cli.main(arguments) == 1
    printed = capsys.readouterr().out
    assert "1/4 evaluate-patch-float32-local done in" in printed
    assert "1 results in" in printed
    outcomes = json.loads((out / "sweep.json").read_text())["steps"]
    assert [outcome["status"] for outcome in outcomes.values()] == ["done", "failed", "failed", "failed"]
    assert "cannot reach the agent" in outcomes["evaluate-patch-float32-http---127.0.0.1-9"]["reason"]
    assert "int8" in outcomes["evaluate-patch-int8-local"]["reason"]
    assert "s" * 20 not in (out / "sweep.json").read_text()
    page = parse((out / "report.html").read_text(encoding="utf-8"))
    assert page.has("failures")
    assert "cannot reach the agent" in page.text

    result = out / "results" / "patch-float32-local.json"
    written = result.stat().st_mtime_ns
    assert cli.main([*arguments[: arguments.index("--precisions")], "--precisions", "float32", arguments[-1]]) == 0
    assert "evaluate-patch-float32-local already done" in capsys.readouterr().out
    assert result.stat().st_mtime_ns == written


@pytest.mark.exhaustive
def test_sweep_trains_exports_and_evaluates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shapes(tmp_path / "data", train=32, val=8, seed=0, workers=1)
    arguments = ["sweep", "--backbones", "shufflenet_v2_0.5x", "nonsense", "--image-sizes", "96"]
    arguments += ["--data", str(tmp_path / "data"), "--precisions", "float16", "--out", str(tmp_path / "sweep")]
    arguments += ["--train-options=--epochs 1 --batch-size 8", f"--evaluate-options={QUICK}"]
    assert cli.main(arguments) == 1
    printed = capsys.readouterr().out
    assert "evaluate-shufflenet_v2_0.5x-ssdlite_fpn-96-float16-local done in" in printed
    assert "train-nonsense-ssdlite_fpn-96 failed: unknown backbone 'nonsense'" in printed
    assert "export-nonsense-ssdlite_fpn-96 left out: train-nonsense-ssdlite_fpn-96 failed" in printed
