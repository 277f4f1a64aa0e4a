"""An evaluation that is killed again and again, by a real SIGKILL, and files that cannot go on."""

import dataclasses
import itertools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.data.read import load_split
from mobiledet.detections import Detections
from mobiledet.devices.base import BenchmarkPlan, DeviceInfo, Execution, Frame, StageTimes
from mobiledet.devices.local import LocalDevice, LocalSession
from mobiledet.errors import UserError
from mobiledet.evaluation import detection_log
from mobiledet.evaluation.detection_log import DetectionLog, Origin, open_log
from mobiledet.evaluation.result import read_result
from mobiledet.evaluation.run import evaluate

DEVICE = DeviceInfo("local", "board", "Linux", "cpu", 2, "litert", "2")
ORIGIN = Origin(
    "b" * 64, "model.tflite", DEVICE, Execution("auto", "xnnpack", 0.5, 1), "image", "i" * 64, ("a", "b", "c")
)
QUICK = BenchmarkPlan(warmup_runs=1, warmup_seconds=0, warmup_limit_seconds=0, runs=5, seconds=0)


@pytest.mark.slow
def test_killed_ten_times_and_resumed(patch_bundle: Bundle, many_images: Path, tmp_path: Path) -> None:
    """Each process goes on where the last one was killed, and nothing is run twice that was on the disk."""
    arguments = ["evaluate", str(patch_bundle.path), "--data", str(many_images), "--no-latency", "--threads", "1"]
    command = [sys.executable, "-m", "mobiledet.cli", *arguments, "--out"]
    whole, resumed = tmp_path / "whole.json", tmp_path / "resumed.json"
    partial = tmp_path / "resumed.detections.partial"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    rng = random.Random(1)
    sizes = [0]
    total = whole.with_suffix(".detections.ndjson").stat().st_size
    for kill in range(10):
        process = subprocess.Popen([*command, str(resumed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # the first one before it does anything, the others somewhere on the way
        aim = 0 if kill == 0 else rng.uniform(0.03, 0.09) * total
        while process.poll() is None and (partial.stat().st_size if partial.exists() else 0) < sizes[-1] + aim:
            time.sleep(0.0005)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        sizes.append(partial.stat().st_size if partial.exists() else 0)
        assert not resumed.exists()
    assert sum(after > before for before, after in itertools.pairwise(sizes)) >= 9
    before = partial.read_bytes().splitlines(keepends=True)
    done = subprocess.run([*command, str(resumed)], check=True, capture_output=True, text=True)
    known = len(before) - 1 - (not before[-1].endswith(b"\n"))
    assert f"images, {known} done before" in done.stderr
    assert not partial.exists()
    kept = resumed.with_suffix(".detections.ndjson").read_bytes()
    assert kept.startswith(b"".join(before[: known + 1]))
    assert len(kept.splitlines()) == 1 + 900
    expected, found = read_result(whole).accuracy, read_result(resumed).accuracy
    assert expected is not None
    assert found is not None
    assert found.metrics == expected.metrics
    assert found.images_sha256 == expected.images_sha256
    assert 0.3 < found.metrics.AP < 0.95


def test_detections_and_benchmark_are_read_back_the_same(
    patch_bundle: Bundle, patch_data: Path, tmp_path: Path
) -> None:
    session = LocalDevice().load(patch_bundle, patch_bundle.select(), threads=1)
    session.golden()
    frames = list(session.detect(sorted((patch_data / "val2017").iterdir())))
    samples = session.benchmark(QUICK)
    assert samples is not None
    path = tmp_path / "log"
    with open_log(path, ORIGIN) as log:
        log.add_samples(QUICK, samples)
        for index, frame in enumerate(frames):
            log.add(10 + index, frame)
    with open_log(path, ORIGIN) as log:
        assert log.samples(QUICK) == samples
        assert log.samples(dataclasses.replace(QUICK, runs=6)) is None
        assert list(log.found) == [10 + index for index in range(6)]
        for frame, again in zip(frames, log.found.values(), strict=True):
            assert (again.height, again.width, again.times) == (frame.height, frame.width, frame.times)
            for name in ("boxes_xyxy", "scores", "labels"):
                values, expected = getattr(again.detections, name), getattr(frame.detections, name)
                assert values.dtype == expected.dtype
                np.testing.assert_array_equal(values, expected)


def _some(path: Path, count: int = 3) -> bytes:
    """A log of empty images."""
    with open_log(path, ORIGIN) as log:
        for index in range(count):
            log.add(index, _frame())
    return path.read_bytes()


def _frame() -> Frame:
    return Frame(Path("x.jpg"), Detections.empty(), StageTimes(1, 2, 3, 4), height=5, width=6)


def test_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = _some(path)
    for cut in range(1, 60):
        path.write_bytes(content[:-cut])
        with open_log(path, ORIGIN) as log:
            assert list(log.found) == [0, 1]
            log.add(2, _frame())
        assert path.read_bytes() == content


def test_header_that_was_cut_off_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = _some(path)
    path.write_bytes(content[:40])
    assert _some(path) == content


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bundle": "c" * 64}, "another bundle;"),
        ({"file": "other.tflite"}, "another file;"),
        ({"images": "j" * 64, "mode": "tensor"}, "another mode and images;"),
        ({"device": dataclasses.replace(DEVICE, runtime_version="3")}, "another device;"),
        ({"execution": Execution("auto", "cpu", 0, 1)}, "another execution;"),
    ],
)
def test_evaluation_of_something_else_does_not_go_on(tmp_path: Path, change: dict, reason: str) -> None:
    path = tmp_path / "log"
    content = _some(path)
    other = dataclasses.replace(ORIGIN, **change)
    with (
        pytest.raises(UserError, match=f"{path} contains an unfinished evaluation of {reason} pass --fresh"),
        open_log(path, other),
    ):
        pass
    assert path.read_bytes() == content
    with open_log(path, other, fresh=True) as log:
        assert not log.found
    assert not path.exists()


def test_agent_that_listens_on_another_port_now_is_the_same_device(tmp_path: Path) -> None:
    origins = [
        dataclasses.replace(ORIGIN, device=dataclasses.replace(DEVICE, name=f"http://10.0.0.2:{port}"))
        for port in (4000, 5000)
    ]
    assert origins[0].differences(origins[1]) == []
    assert origins[0].differences(ORIGIN) == ["device"]


@pytest.mark.parametrize("damage", [b"{}", b"[]", b"no json", b'{"image_id": 1}', b'{"kind": "mobiledet detections"}'])
@pytest.mark.parametrize("line", [0, 2])
def test_damaged_line(tmp_path: Path, damage: bytes, line: int) -> None:
    path = tmp_path / "log"
    lines = _some(path).splitlines()
    lines[line] = damage
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(UserError, match=r"is damaged .*--fresh"), open_log(path, ORIGIN):
        pass


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with (
        open_log(path, ORIGIN) as log,
        pytest.raises(UserError, match="another process is writing"),
        open_log(path, ORIGIN),
    ):
        log.add(1, _frame())


def test_full_disk(patch_bundle: Bundle, many_images: Path, tmp_path: Path) -> None:
    """The system takes no more than 60 kB, in the middle of a line; with room again the evaluation goes on."""
    out, partial = tmp_path / "r.json", tmp_path / "r.detections.partial"
    arguments = [str(patch_bundle.path), "--data", str(many_images), "--no-latency", "--out", str(out)]
    command = [sys.executable, "-m", "mobiledet.cli", "evaluate", *arguments]
    full = subprocess.run(["bash", "-c", 'ulimit -f 60; exec "$@"', "-", *command], capture_output=True, text=True)
    assert full.returncode == 2
    assert f"error: cannot write {partial}: file too large" in full.stderr
    assert "the same command continues from there" in full.stderr
    content = partial.read_bytes()
    assert len(content) == 60 * 1024
    assert not out.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "done before" in done.stderr
    kept = out.with_suffix(".detections.ndjson").read_bytes()
    assert kept.startswith(content[: content.rfind(b"\n") + 1])
    assert len(kept.splitlines()) == 901


def test_interrupted_evaluation_says_how_to_go_on(
    patch_bundle: Bundle,
    patch_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The user presses Ctrl-C at the fourth image; neither the benchmark nor the first three are done again."""
    out = tmp_path / "r.json"
    arguments = ["evaluate", str(patch_bundle.path), "--data", str(patch_data), "--out", str(out)]
    arguments += ["--warmup-seconds", "0", "--min-seconds", "0", "--min-runs", "3"]
    add = DetectionLog.add

    def interrupted(log: DetectionLog, image_id: int, frame: Frame) -> None:
        if len(log.found) == 3:
            raise KeyboardInterrupt
        add(log, image_id, frame)

    with monkeypatch.context() as patch:
        patch.setattr(DetectionLog, "add", interrupted)
        assert cli.main(arguments) == 130
    assert "3 images are done and saved in" in capsys.readouterr().err
    partial = tmp_path / "r.detections.partial"
    lines = partial.read_text().splitlines()

    # the device had begun to give zeros before it was interrupted
    last = json.loads(lines[-1])
    zeros = {**last, "boxes": [[0] * 4] * len(last["boxes"]), "scores": [0] * len(last["scores"])}
    partial.write_text("\n".join([*lines[:-1], json.dumps(zeros)]) + "\n")
    assert cli.main(arguments) == 2
    assert "has other detections for 002.jpg than the device gives now" in capsys.readouterr().err
    partial.write_text("\n".join(lines) + "\n")

    with monkeypatch.context() as patch:
        patch.setattr(LocalSession, "benchmark", None)  # a call would fail
        assert cli.main(arguments) == 0
    result = read_result(out)
    assert result.accuracy is not None
    assert result.latency is not None
    assert abs(result.accuracy.metrics.AP - 1) < 1e-9
    assert result.accuracy.stages["infer"].n == 6
    kept = (tmp_path / "r.detections.ndjson").read_text().splitlines()
    assert kept[:5] == lines
    assert json.loads(lines[1])["samples"]["infer_ns"] == list(result.latency.infer.samples_ns)


def test_device_that_breaks_on_the_way_gets_no_result(
    patch_bundle: Bundle, patch_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The golden gate is passed at the beginning and not at the end."""
    golden = LocalSession.golden
    passed = []

    def once(session: LocalSession) -> object:
        if passed:
            raise UserError("all scores are zero")
        passed.append(golden(session))
        return passed[0]

    monkeypatch.setattr(LocalSession, "golden", once)
    with pytest.raises(UserError, match="all scores are zero"):
        evaluate(patch_bundle, patch_bundle.select(), LocalDevice(), load_split(patch_data, "val"))


def test_lines_are_on_the_disk_after_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(detection_log.os, "fsync", synced.append)
    with open_log(tmp_path / "log", ORIGIN) as log:
        log.add(1, _frame())
        assert not synced
        monkeypatch.setattr(detection_log, "SYNC_SECONDS", 0)
        log.add(2, _frame())
        assert len(synced) == 1
    assert len(synced) == 2
