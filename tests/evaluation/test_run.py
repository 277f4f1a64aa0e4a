import json
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.devices import partitions, timing
from mobiledet.evaluation.result import read_result

SHORT = ("--warmup-runs", "1", "--warmup-seconds", "0", "--min-runs", "12", "--min-seconds", "0")


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The error line of a command that must fail."""
    assert cli.main(["evaluate", *map(str, arguments)]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert sum(line.startswith("error: ") for line in errors) == 1
    return errors[-1].removeprefix("error: ")


def test_everything_is_measured_and_recorded(
    patch_bundle: Bundle, patch_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "result.json"
    arguments = [str(patch_bundle.path), "--data", str(patch_data), "--threads", "1", "--out", str(out), *SHORT]
    assert cli.main(["evaluate", *arguments]) == 0
    printed = capsys.readouterr().out
    assert str(out) in printed.replace("\n", "")
    assert "1.000 on patches-val, 6 images" in printed

    result = read_result(out)
    assert result.bundle_sha256 == patch_bundle.sha256
    assert result.spec == patch_bundle.spec
    assert result.file == patch_bundle.files[0]
    assert (result.golden.cases, result.golden.detections) == (2, 4)
    assert (result.execution.requested, result.execution.actual, result.execution.threads) == ("auto", "xnnpack", 1)
    assert result.accuracy is not None
    assert abs(result.accuracy.metrics.AP - 1) < 1e-9
    assert result.latency is not None
    assert len(result.latency.infer.samples_ns) == 12
    assert len(result.latency.cold_starts) == 3
    assert result.latency.load_ms > 0
    assert result.latency.first_infer_ms > 0
    assert len(result.latency.states) == 2
    assert result.versions["python"] == platform.python_version()
    assert result.created.endswith("+00:00")
    assert json.loads(out.read_text())["kind"] == "mobiledet result"


def test_default_name_and_file_by_precision(
    patch_bundle: Bundle, patch_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [str(patch_bundle.path), "--data", str(patch_data), "--no-latency", "--precision", "float16"]
    assert cli.main(["evaluate", *arguments, "--limit", "4"]) == 0
    name = f"patch-64-{patch_bundle.sha256[:8]}-model.float16-local.json"
    result = read_result(tmp_path / "results" / name)
    assert result.file.path == "model.float16.tflite"
    assert result.latency is None
    assert result.accuracy is not None
    assert result.accuracy.metrics.images == 4


def test_latency_alone_and_the_accelerator_that_was_asked_for(patch_bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    arguments = ["--no-accuracy", "--accelerator", "cpu", "--file", "model.float32.tflite", "--out", str(out), *SHORT]
    assert cli.main(["evaluate", str(patch_bundle.path), *arguments]) == 0
    result = read_result(out)
    assert result.accuracy is None
    assert (result.execution.requested, result.execution.actual, result.execution.delegated_share) == ("cpu", "cpu", 0)


def test_accelerator_that_does_not_take_the_file(
    patch_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result says what really ran; --strict wants none."""
    monkeypatch.setattr(partitions.Partitions, "delegated_share", 0.0)
    out = tmp_path / "result.json"
    arguments = (patch_bundle.path, "--no-accuracy", "--accelerator", "xnnpack", "--out", out, *SHORT)
    assert _refused(capsys, *arguments, "--strict") == "local fell back from xnnpack to cpu; see --accelerator"
    assert not out.exists()
    assert cli.main(["evaluate", *map(str, arguments)]) == 0
    assert "xnnpack was requested, the device fell back to cpu" in capsys.readouterr().out
    execution = read_result(out).execution
    assert (execution.requested, execution.actual) == ("xnnpack", "cpu")


def test_pace_of_a_camera_and_a_warm_up_that_is_not_steady(
    patch_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(timing, "is_steady", lambda infer_ns, warmup_runs: False)
    out = tmp_path / "result.json"
    paced = ["--fps", "50", "--sustained", "0.3s", "--warmup-seconds", "0", "--warmup-limit-seconds", "0.1"]
    arguments = [str(patch_bundle.path), "--no-accuracy", *paced, "--min-runs", "5", "--out", str(out)]
    assert cli.main(["evaluate", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "at 50 images/s, as from a camera" in printed
    assert "the latency was not steady after the warm-up" in printed
    latency = read_result(out).latency
    assert latency is not None
    assert not latency.steady
    assert len(latency.started_ns) + latency.dropped == pytest.approx(15, abs=2)
    images = np.floor(np.array(latency.started_ns) * 50 / 1e9)
    assert (np.diff(images) >= 1).all()


def test_images_and_annotations_instead_of_a_folder_and_the_other_scorer(
    patch_bundle: Bundle, patch_data: Path, tmp_path: Path
) -> None:
    images, annotations = patch_data / "val2017", patch_data / "annotations" / "instances_val2017.json"
    numbers = []
    for scorer in ("faster-coco-eval", "pycocotools"):
        out = tmp_path / f"{scorer}.json"
        data = ["--images", str(images), "--annotations", str(annotations), "--scorer", scorer]
        assert cli.main(["evaluate", str(patch_bundle.path), *data, "--no-latency", "--out", str(out)]) == 0
        accuracy = read_result(out).accuracy
        assert accuracy is not None
        assert accuracy.scorer == scorer
        numbers.append(accuracy.metrics.AP)
    assert abs(numbers[0] - numbers[1]) < 1e-12


def test_broken_image(
    patch_bundle: Bundle, patch_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = shutil.copytree(patch_data, tmp_path / "data"), tmp_path / "result.json"
    (data / "val2017" / "003.jpg").write_bytes(b"\xff\xd8 nothing")
    common = (patch_bundle.path, "--data", data, "--no-latency", "--out", out)
    assert "003.jpg" in _refused(capsys, *common)
    assert not out.exists()
    assert cli.main(["evaluate", *map(str, common), "--on-bad-data", "skip"]) == 0
    assert "003.jpg" in "".join(capsys.readouterr().out.split())
    accuracy = read_result(out).accuracy
    assert accuracy is not None
    assert len(accuracy.skipped) == 1


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("silent", "this runtime does not reproduce the outputs of model.float32.tflite: it detects nothing at all"),
        ("shifted", "tflite: its boxes are shifted by (+0.050, +0.050) of the image; golden case 0: it misses"),
        ("not_a_number", "not finite"),
        ("unnamed", "no signature with the outputs boxes, classes, scores, count"),
    ],
)
def test_file_that_fails_the_golden_gate_gets_no_result(
    variant: str,
    reason: str,
    write_patch_bundle: Callable[..., Bundle],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle, out = write_patch_bundle(tmp_path, variant), tmp_path / "result.json"
    assert reason in _refused(capsys, bundle.path, "--no-accuracy", "--out", out)
    assert not out.exists()


def test_damaged_bundles(patch_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no bundle at" in _refused(capsys, tmp_path / "none.mobiledet", "--no-accuracy")
    changed = shutil.copytree(patch_bundle.path, tmp_path / "changed.mobiledet")
    model = changed / "model.float32.tflite"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    assert "model.float32.tflite has changed" in _refused(capsys, changed, "--no-accuracy")


def test_result_that_cannot_be_written_is_found_before_the_measurement(
    patch_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    long = (patch_bundle.path, "--no-accuracy", "--min-seconds", "80000")
    message = _refused(capsys, *long, "--out", tmp_path / "file" / "result.json")
    assert message == f"cannot write {tmp_path}/file/result.json: {tmp_path}/file is not a folder"
    assert "it is a folder" in _refused(capsys, *long, "--out", tmp_path)
    assert not list(tmp_path.glob("file/*"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--no-accuracy", "--device", "usb:0123"), "unknown device 'usb:0123'; valid names: adb:SERIAL"),
        (("--no-accuracy", "--accelerator", "npu"), "unknown accelerator 'npu'"),
        (("--no-accuracy", "--file", "model.int8.tflite"), "holds no model.int8.tflite; it holds model.float32.tflite"),
        (("--no-accuracy", "--file", "a", "--precision", "b"), "--file and --precision"),
        (("--no-accuracy", "--no-latency"), "leave nothing to measure"),
        (("--no-accuracy", "--min-runs", "0"), "--min-runs 0 is not in 1..1e+07"),
        (("--no-accuracy", "--warmup-seconds", "-1"), "--warmup-seconds -1.0 is not in 0..86400"),
        (("--no-accuracy", "--threads", "-2"), "--threads -2 is not in 0..512"),
        ((), "give either --data or --images"),
        (("--images", "somewhere"), "--images and --annotations belong together"),
        (("--data", "shapes", "--images", "a", "--annotations", "b"), "give either --data or --images"),
        (("--data", "/no/such/folder"), "/no/such/folder"),
    ],
)
def test_mistakes_are_named(
    patch_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reason in _refused(capsys, patch_bundle.path, *arguments)
    assert not list(tmp_path.iterdir())
