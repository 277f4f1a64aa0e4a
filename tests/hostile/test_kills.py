"""Killed with -9 at any moment: the next command goes on to the same result, and no process and no file is left."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Trials
from processes import await_true, finish, kill, relatives, start

from mobiledet.bundle import Bundle
from mobiledet.data.shapes import write_shapes
from mobiledet.devices.agent.client import AgentDevice, zipped
from mobiledet.devices.base import BenchmarkPlan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(folder, train=24, val=8, seed=0, workers=1)
    return folder


def _train(shapes: Path, out: Path) -> list[str]:
    data = ["--data", str(shapes), "--workers", "1", "--accelerator", "cpu"]
    network = ["--backbone", "shufflenet_v2_0.5x", "--image-size", "64", "--epochs", "3", "--batch-size", "8"]
    return ["train", *data, *network, "--ema-decay", "0.9", "--save-every-minutes", "0", "--out", str(out)]


def _weights(run: Path) -> dict[str, torch.Tensor]:
    content: dict[str, Any] = torch.load(run / "best.ckpt", weights_only=True)
    weights: dict[str, torch.Tensor] = content["weights"]
    return weights


@pytest.mark.exhaustive
@pytest.mark.timeout(7200)
def test_trainings_that_are_killed(trials: Trials, shapes: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    finish(_train(shapes, tmp_path / "sound"), tmp_path / "tmp")
    duration = time.monotonic() - begun
    sound = _weights(tmp_path / "sound")
    kills, runs = 0, 0
    while kills < trials.count(1, 20):
        run = tmp_path / f"run-{runs}"
        runs += 1
        for _ in range(4):
            goes_on = (run / "config.json").exists()
            process = start(["train", "--resume", str(run)] if goes_on else _train(shapes, run), tmp_path / "tmp")
            time.sleep(trials.rng.uniform(0.3, 0.95) * duration)
            if not kill(process):
                break
            kills += 1
            await_true(lambda run=run: not relatives(str(run)))  # type: ignore[misc]
        goes_on = (run / "config.json").exists()
        finish(["train", "--resume", str(run)] if goes_on else _train(shapes, run), tmp_path / "tmp")
        ended = _weights(run)
        assert ended.keys() == sound.keys()
        assert all(torch.equal(ended[name], sound[name]) for name in sound)
        assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []
        assert list((tmp_path / "tmp").glob("mobiledet-*")) == []
    for _ in range(kills):
        trials.held()


def test_evaluations_that_are_killed(trials: Trials, patch_bundle: Bundle, many_images: Path, tmp_path: Path) -> None:
    """Of a zip, which is unpacked into the temporary folder."""
    zip_path, out, scratch = tmp_path / "x.zip", tmp_path / "results" / "x.json", tmp_path / "tmp"
    with zipped(patch_bundle) as archive:
        shutil.copyfile(archive, zip_path)
    limit = str(trials.count(300, 900))
    command = [
        "evaluate",
        str(zip_path),
        "--data",
        str(many_images),
        "--no-latency",
        "--threads",
        "1",
        "--limit",
        limit,
    ]
    begun = time.monotonic()
    finish([*command, "--out", str(tmp_path / "sound.json")], scratch)
    duration = time.monotonic() - begun
    sound = json.loads((tmp_path / "sound.json").read_text())
    for _ in range(trials.count(1, 10)):
        process = start([*command, "--out", str(out)], scratch)
        time.sleep(trials.rng.uniform(0.3, 0.9) * duration)
        kill(process)
        finish([*command, "--out", str(out)], scratch)
        ended = json.loads(out.read_text())
        for part in ("metrics", "images_sha256", "skipped"):
            assert ended["accuracy"][part] == sound["accuracy"][part]
        assert list(scratch.iterdir()) == []
        assert sorted(path.name for path in out.parent.iterdir()) == ["x.detections.ndjson", "x.json"]
        out.unlink()
        trials.held()


def test_evaluations_that_are_asked_to_end(
    trials: Trials, patch_bundle: Bundle, many_images: Path, tmp_path: Path
) -> None:
    """SIGTERM removes what is temporary at once."""
    scratch = tmp_path / "tmp"
    with zipped(patch_bundle) as archive:
        shutil.copyfile(archive, tmp_path / "x.zip")
    command = ["evaluate", str(tmp_path / "x.zip"), "--data", str(many_images), "--no-latency", "--threads", "1"]
    for _ in range(trials.count(1, 5)):
        process = start([*command, "--out", str(tmp_path / "x.json")], scratch)
        await_true(lambda: scratch.is_dir() and any(scratch.glob("mobiledet-bundle-*")))
        time.sleep(trials.rng.uniform(0, 1))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        # at the very end of the process the signal does what it does to any
        assert process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM, 0)
        assert list(scratch.iterdir()) == []
        trials.held()


def _export(checkpoint: Path, images: Path, out: Path) -> list[str]:
    few = [
        "--format",
        "tflite",
        "--precision",
        "float32",
        "--images",
        str(images),
        "--parity-images",
        "2",
        "--no-judge",
    ]
    return ["export", str(checkpoint), *few, "--out", str(out), "--overwrite"]


@pytest.mark.exhaustive
@pytest.mark.timeout(7200)
def test_exports_that_are_killed(trials: Trials, scene_checkpoint: Path, scene_folder: Path, tmp_path: Path) -> None:
    out, scratch = tmp_path / "out" / "x.mobiledet", tmp_path / "tmp"
    command = _export(scene_checkpoint, scene_folder, out)
    begun = time.monotonic()
    finish(command, scratch)
    duration = time.monotonic() - begun
    sound = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for _ in range(trials.count(1, 10)):
        process = start(command, scratch)
        time.sleep(trials.rng.uniform(0.1, 0.98) * duration)
        kill(process)
        await_true(lambda: not relatives(str(out.parent)))
        assert {path.name for path in out.rglob("*") if path.is_file()} == set(sound)  # the old one is still whole
        trials.held()
    finish(command, scratch)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert list(scratch.glob("mobiledet-*")) == []


def test_a_converter_that_loses_its_parent(trials: Trials, tmp_path: Path) -> None:
    """It used to run on for minutes."""
    program = (
        "import sys, time; from pathlib import Path; from mobiledet_converters.job import ConversionJob\n"
        "from mobiledet_converters.process import Conversion\n"
        "folder = Path(sys.argv[1]); folder.mkdir()\n"
        "Conversion('tflite', ConversionJob(folder / 'no.ckpt', folder, ('float32',), {}))\n"
        "print('started', flush=True); time.sleep(60)\n"
    )
    folder = tmp_path / "job"
    parent = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    assert parent.stdout.readline() == "started\n"
    assert relatives(f"{folder}/job.json")
    kill(parent)
    await_true(lambda: not relatives(f"{folder}/job.json"), seconds=30)
    trials.held()


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_an_export_that_leaves_its_folder(
    trials: Trials, scene_checkpoint: Path, scene_folder: Path, tmp_path: Path
) -> None:
    """The next one removes it."""
    out, scratch = tmp_path / "out" / "x.mobiledet", tmp_path / "tmp"
    command = _export(scene_checkpoint, scene_folder, out)
    process = start(command, scratch)
    await_true(lambda: any(pid != process.pid for pid in relatives(f"{out.parent}/.x.mobiledet.")), seconds=200)
    assert kill(process)
    await_true(lambda: not relatives(str(out.parent)), seconds=20)
    assert len(list(out.parent.glob(".x.mobiledet.*.work"))) == 1
    process = start(command, scratch)  # the next one
    await_true(lambda: len(relatives(f"{out.parent}/.x.mobiledet.")) > 0, seconds=200)
    assert len(list(out.parent.glob(".x.mobiledet.*.work"))) == 1
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert [path.name for path in out.parent.iterdir()] == []
    trials.held()


def test_agents_that_are_killed(trials: Trials, patch_bundle: Bundle, tmp_path: Path) -> None:
    cache, scratch = tmp_path / "cache", tmp_path / "tmp"
    plan = BenchmarkPlan(warmup_runs=1, warmup_seconds=0, warmup_limit_seconds=0, runs=3, seconds=0)
    for _ in range(trials.count(1, 5)):
        agent = start(["agent", "--cache", str(cache)], scratch)
        assert agent.stdout
        words = [agent.stdout.readline() for _ in range(4)]
        url, token = words[0].split()[1].rstrip(","), words[1].split()[1]
        device = AgentDevice(url, token)
        session = device.load(patch_bundle, patch_bundle.select(), threads=1)
        session.golden()
        if trials.rng.random() < 0.5:
            session.benchmark(plan)
        assert any(scratch.iterdir())
        kill(agent)
        await_true(lambda: not relatives(str(cache)))
        trials.held()
    agent = start(["agent", "--cache", str(cache)], scratch)
    assert agent.stdout
    words = [agent.stdout.readline() for _ in range(4)]
    device = AgentDevice(words[0].split()[1].rstrip(","), words[1].split()[1])
    session = device.load(patch_bundle, patch_bundle.select(), threads=1)
    session.golden()
    assert len(list(scratch.glob("mobiledet-bundle-*"))) == 1
    assert [path.suffix for path in cache.iterdir()] == [".zip"]
    agent.terminate()
    agent.communicate(timeout=60)
    assert list(scratch.iterdir()) == []


def _two(commands: list[list[str]], scratch: Path) -> list[tuple[int, str]]:
    processes = [start(command, scratch) for command in commands]
    words = [process.communicate(timeout=900)[0] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, words, strict=True)]


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
def test_two_at_once(trials: Trials, shapes: Path, tmp_path: Path) -> None:
    """Two trainings into one folder, two that go on with one, and two sweeps: one works, the other names it."""
    run, scratch = tmp_path / "run", tmp_path / "tmp"
    sweep = ["sweep", "--backbones", "shufflenet_v2_0.5x", "--image-sizes", "64", "--precisions", "float32"]
    options = "--epochs 1 --batch-size 8 --accelerator cpu --workers 0"
    sweep += ["--data", str(shapes), "--train-options", options, "--out", str(tmp_path / "sweep")]
    for command in (_train(shapes, run), sweep):
        ended = _two([command, command], scratch)
        statuses = sorted(status for status, _ in ended)
        assert statuses == [0, 2], ended
        refused = next(text for status, text in ended if status == 2)
        assert "is in use: process" in refused or "already holds a run" in refused
        trials.held()
    longer = [*_train(shapes, tmp_path / "other"), "--epochs", "500"]  # than the second takes to start
    first = start(longer, scratch)
    await_true(lambda: (tmp_path / "other" / "last.ckpt").exists(), seconds=300)
    second = start(["train", "--resume", str(tmp_path / "other")], scratch)
    words, _ = second.communicate(timeout=300)
    assert second.returncode == 2
    assert f"is in use: process {first.pid} on" in words
    first.terminate()
    first.communicate(timeout=600)
    assert first.returncode == 128 + signal.SIGTERM
    trials.held()


def test_six_writers_of_one_bundle(
    trials: Trials, write_patch_bundle: Callable[..., Bundle], tmp_path: Path, project_root: Path
) -> None:
    """One succeeds, and five say why not."""
    bundle = write_patch_bundle(tmp_path / "source")
    program = (
        "import sys; from pathlib import Path; from mobiledet.bundle import copy_bundle, open_bundle\n"
        "from mobiledet.errors import UserError\n"
        "bundle = open_bundle(Path(sys.argv[1])); sys.stdin.readline()\n"
        "try: copy_bundle(bundle, Path(sys.argv[2]), bundle.files[:1])\n"
        "except UserError as error: print(error); sys.exit(2)\n"
    )
    for number in range(trials.count(2, 20)):
        command = [sys.executable, "-c", program, str(bundle.path), str(tmp_path / "out" / f"{number}.mobiledet")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        writers = [subprocess.Popen(command, text=True, **pipes) for _ in range(trials.count(3, 6))]
        for writer in writers:
            assert writer.stdin
            writer.stdin.write("go\n")
            writer.stdin.flush()
        said = [writer.communicate(timeout=120)[0] for writer in writers]
        assert sorted(writer.returncode for writer in writers) == [0, *[2] * (len(writers) - 1)]
        assert [text for text in said if text and not ("exists already" in text or "is in use: process" in text)] == []
        trials.held()
