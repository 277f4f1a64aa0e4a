"""How many processes --devices auto takes. Cores and GPUs are numbers here; what they do is tested elsewhere."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mobiledet.training import devices, setup
from mobiledet.training.config import TrainConfig
from mobiledet.training.devices import choose_devices
from mobiledet.training.engine import train
from mobiledet.training.setup import share_cores


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return lambda count: monkeypatch.setattr(devices, "usable_cores", lambda: count)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "there", "taken"),
    [(32, 1, 2, 2), (32, 1, 1, 1), (32, 1, 64, 4), (24, 1, 4, 3), (16, 2, 2, 1), (8, 1, 2, 1), (30, 1, 4, 3)],
)
def test_as_many_processes_as_leave_each_eight_images(
    cores: Callable[[int], None], batch_size: int, accumulate: int, there: int, taken: int
) -> None:
    cores(there)
    config = TrainConfig(devices="auto", batch_size=batch_size, accumulate=accumulate, accelerator="cpu")
    chosen, told = choose_devices(config)
    assert chosen == dataclasses.replace(config, devices=taken)
    assert told.startswith(f"--devices auto: {taken} of {there} CPU cores")


def test_the_default_stays_one_and_says_what_auto_would_take(cores: Callable[[int], None]) -> None:
    cores(2)
    config = TrainConfig(accelerator="cpu", batch_size=32)
    chosen, told = choose_devices(config)
    assert chosen == config
    assert told.startswith("one of 2 CPU cores trains; --devices auto takes 2")
    assert "16 images at a time" in told
    assert choose_devices(dataclasses.replace(config, devices=2))[1] == ""
    cores(1)
    assert choose_devices(config)[1] == ""


def test_all_gpus_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    chosen, told = choose_devices(TrainConfig(devices="auto", batch_size=64))
    assert (chosen.devices, told.split(";")[0]) == (8, "--devices auto: 8 of 8 GPUs")


@pytest.mark.parametrize(
    ("environment", "processes", "workers", "threads"),
    [
        ({}, 1, 0, 8),
        ({}, 2, 1, 3),
        ({}, 1, 8, 1),
        ({"OMP_NUM_THREADS": "3"}, 1, 0, 3),
        ({"OMP_NUM_THREADS": "3,2"}, 1, 7, 1),
        ({"OMP_NUM_THREADS": "64"}, 1, 0, 8),
        ({"OMP_NUM_THREADS": "many"}, 1, 0, 8),
        # torchrun itself sets 1
        ({"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "run"}, 2, 0, 4),
    ],
)
def test_threads_leave_cores_to_the_others_and_heed_the_environment(
    environment: dict[str, str], processes: int, workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(setup, "usable_cores", lambda: 8)
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    share_cores(TrainConfig(devices=processes), torch.device("cpu"), workers)
    assert set_to == [threads]


def test_a_run_with_auto_remembers_the_number_and_gives_the_threads_back(
    settings: Callable[[Path], TrainConfig],
    cores: Callable[[int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores(1)
    monkeypatch.setattr(setup, "usable_cores", lambda: 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        folder = train(dataclasses.replace(settings(tmp_path / "run"), epochs=1, devices="auto")).folder
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert '"devices": 1,' in (folder / "config.json").read_text()
