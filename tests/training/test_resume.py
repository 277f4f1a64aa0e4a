"""A run that is stopped, however, and resumed ends as one that was not."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mobiledet.checkpoint import load_checkpoint
from mobiledet.errors import UserError
from mobiledet.training import engine
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import TrainResult, train
from mobiledet.training.interruption import Interrupted
from mobiledet.training.state import TrainState

Settings = Callable[[Path], TrainConfig]


class Stop(Exception):
    """Ends a run at once, without a chance to save."""


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch, stop: Callable[[], None]) -> None:
    """Call ``stop`` when a step begins, counted from 0."""

    original = engine.seed_step

    def seed_step(seed: int, now: int, rank: int) -> None:
        if now == step:
            stop()
        original(seed, now, rank)

    monkeypatch.setattr(engine, "seed_step", seed_step)


def begin(config: TrainConfig, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run until ``step`` with a checkpoint at every one, then fail."""

    def stop() -> None:
        raise Stop

    with monkeypatch.context() as patch:
        stop_at(step, patch, stop)
        with pytest.raises(Stop):
            train(dataclasses.replace(config, save_every_minutes=0.0))
    wait_for_the_next_second()


def wait_for_the_next_second() -> None:
    """TensorBoard reads the files of several runs in the order of the seconds in their names."""
    time.sleep(1.01 - time.time() % 1)


def assert_same_end(folder: Path, trained: TrainResult) -> None:
    """Both runs have the same weights, bit by bit, and the same record."""
    for name in ("last.ckpt", "best.ckpt"):
        expected, got = load_checkpoint(trained.folder / name), load_checkpoint(folder / name)
        for key, tensor in expected.weights.items():
            assert torch.equal(tensor, got.weights[key]), (name, key)
    assert record(folder) == record(trained.folder)
    assert scalars(folder) == scalars(trained.folder)


def record(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows, the speed left out."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(folder / "tensorboard")).Reload()
    tags = [tag for tag in log.Tags()["scalars"] if tag != "train/images_per_s"]
    return {tag: [(point.step, point.value) for point in log.Scalars(tag)] for tag in tags}


@pytest.mark.parametrize(
    "step", [pytest.param(0, marks=pytest.mark.exhaustive), 4, pytest.param(6, marks=pytest.mark.exhaustive)]
)
def test_failed_run(
    settings: Settings, trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    begin(settings(tmp_path / "run"), step, monkeypatch)
    result = train(TrainConfig(resume=tmp_path / "run"))
    assert result.metrics == trained.metrics
    assert_same_end(result.folder, trained)


@pytest.mark.exhaustive
def test_patience_ends_a_resumed_run_where_it_ends_one_that_was_not_stopped(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The learning rate is next to nothing, so that the mAP does not grow for long."""
    config = dataclasses.replace(settings(tmp_path / "whole"), epochs=40, lr=1e-12, patience=1)
    whole = train(config)
    epochs = len(record(whole.folder))
    assert 2 <= epochs < 40
    begin(dataclasses.replace(config, out=tmp_path / "late"), 3 * epochs - 1, monkeypatch)
    assert_same_end(train(TrainConfig(resume=tmp_path / "late")).folder, whole)


def test_killed_while_evaluating(
    settings: Settings, trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = TrainState.save_for_use

    def save_and_stop(self: TrainState, path: Path) -> None:
        original(self, path)
        if self.epoch == 1:  # after the line in metrics.jsonl, before the checkpoint
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(TrainState, "save_for_use", save_and_stop)
        with pytest.raises(Stop):
            train(settings(tmp_path / "run"))
    assert len(record(tmp_path / "run")) == 1
    wait_for_the_next_second()
    assert_same_end(train(TrainConfig(resume=tmp_path / "run")).folder, trained)


def command(config: TrainConfig) -> list[str]:
    """The command line with these settings and a checkpoint at every step."""
    options = [
        f"--{field.name.replace('_', '-')}={getattr(config, field.name)}"
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != field.default and field.name != "save_every_minutes"
    ]
    return [sys.executable, "-m", "mobiledet.cli", "train", "--save-every-minutes=0", *options]


def start(arguments: list[str], until: Path) -> subprocess.Popen[str]:
    """Start a process, and wait until it has written a file."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not until.exists() and process.poll() is None:
        time.sleep(0.01)
    return process


@pytest.mark.timeout(600)
def test_sigkill_at_random_moments(settings: Settings, trained: TrainResult, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    seed = time.time_ns()
    print("random seed", seed)
    delay = random.Random(seed)
    process = start(command(settings(folder)), folder / "config.json")
    time.sleep(delay.uniform(0, 1.5))
    process.kill()
    process.communicate()
    wait_for_the_next_second()
    for leftover in (".last.ckpt.0a1b2c3d.tmp", ".metrics.jsonl.0a1b2c3d.tmp"):
        (folder / leftover).write_bytes(b"half")
    result = train(TrainConfig(resume=folder))
    assert not list(folder.glob(".*.tmp"))
    assert_same_end(result.folder, trained)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("signum", "devices"), [(signal.SIGINT, 1), pytest.param(signal.SIGTERM, 2, marks=pytest.mark.exhaustive)]
)
def test_signal_writes_a_checkpoint_and_says_how_to_go_on(
    settings: Settings, tmp_path: Path, signum: int, devices: int
) -> None:
    folder = tmp_path / "run"
    config = dataclasses.replace(settings(folder), devices=devices, epochs=1000)
    process = start(command(config), folder / "last.ckpt")
    process.send_signal(signum)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signum, output
    assert f"stopped; resume with: mobiledet train --resume {folder}" in " ".join(output.split())
    assert "Traceback" not in output
    training = load_checkpoint(folder / "last.ckpt").training
    assert training is not None
    assert len(training["processes"]) == devices


def test_signal_between_steps_loses_nothing(
    settings: Settings, trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(4, patch, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Interrupted) as stopped:
            train(settings(folder))
    assert stopped.value.status == 143
    training = load_checkpoint(folder / "last.ckpt").training
    assert training is not None
    assert (training["epoch"], training["step"]) == (1, 2)  # the step that was under way was finished
    wait_for_the_next_second()
    assert_same_end(train(TrainConfig(resume=folder)).folder, trained)


def test_random_samples_are_drawn_as_they_would_have_been(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(settings(tmp_path / "whole"), detector="faster_rcnn", epochs=1, accumulate=2)
    whole = train(config)
    begin(dataclasses.replace(config, out=tmp_path / "stopped"), 2, monkeypatch)
    torch.rand(7)
    assert_same_end(train(TrainConfig(resume=tmp_path / "stopped")).folder, whole)


def test_second_ctrl_c_stops_at_once(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press_twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.6)
        os.kill(os.getpid(), signal.SIGINT)

    stop_at(1, monkeypatch, press_twice)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(settings(tmp_path / "run"))
    assert not isinstance(stopped.value, Interrupted)
    assert not (tmp_path / "run" / "last.ckpt").exists()


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 2]) + content[middle + 2 :]


@pytest.mark.parametrize("damage", [cut, pytest.param(flip, marks=pytest.mark.exhaustive)])
def test_damaged_last_checkpoint(
    settings: Settings,
    trained: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[bytes], bytes],
) -> None:
    folder = tmp_path / "run"
    begin(settings(folder), 5, monkeypatch)
    last = folder / "last.ckpt"
    last.write_bytes(damage(last.read_bytes()))
    result = train(TrainConfig(resume=folder), quiet=False)
    output = " ".join(capfd.readouterr().out.split())
    assert f"{last} is not a readable checkpoint" in output
    assert f"resumed from {folder / 'previous.ckpt'}" in output
    assert_same_end(result.folder, trained)


def test_no_checkpoint_can_be_read(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    begin(settings(folder), 3, monkeypatch)
    for name in ("last.ckpt", "previous.ckpt"):
        (folder / name).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"last\.ckpt is not a readable .*previous\.ckpt is not a readable"):
        train(TrainConfig(resume=folder))


def test_killed_between_the_two_renames(
    settings: Settings, trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    begin(settings(folder), 5, monkeypatch)
    (folder / "last.ckpt").rename(folder / "previous.ckpt")
    assert_same_end(train(TrainConfig(resume=folder)).folder, trained)


def test_resume_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no config\.json to resume from"):
        train(TrainConfig(resume=tmp_path))


def test_resume_without_a_checkpoint_to_go_on_from(trained: TrainResult, tmp_path: Path) -> None:
    for name in ("config.json", "best.ckpt"):
        (tmp_path / name).write_bytes((trained.folder / name).read_bytes())
    with pytest.raises(UserError, match=r"holds no last\.ckpt to resume from"):
        train(TrainConfig(resume=tmp_path))
