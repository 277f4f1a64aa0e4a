"""What a run tells where its output is no terminal, and how long it says it will take."""

import io
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train
from mobiledet.training.meter import Meter
from mobiledet.training.progress import Pace, TrainProgress, duration_text


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(seconds: list[float], step_s: float, **console: bool) -> list[str]:
    """What is printed when steps of a run of 10 epochs, 100 steps each, take the given time; the seconds of each line
    are appended to ``seconds``."""
    clock, out = Clock(), io.StringIO()
    progress = TrainProgress(Console(file=out, width=200, **console), Pace(1000, 0, clock), 100, 0, 10, clock)
    meter = Meter()
    with progress:
        for step in range(1, 101):
            clock.now += step_s
            meter.add({"class": torch.tensor(1.0), "box": torch.tensor(0.5)}, 8)
            before = out.tell()
            progress.log_step(0, step, meter)
            if out.tell() > before:
                seconds.append(clock.now)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("step_s", [0.3, 7.0, 25.0, 59.0])
def test_a_line_at_least_every_minute(step_s: float) -> None:
    seconds: list[float] = []
    lines = lines_of(seconds, step_s)
    assert len(lines) == len(seconds)
    assert seconds[0] <= max(10, step_s)
    assert all(after - before <= 60 for before, after in itertools.pairwise(seconds))
    assert len(seconds) <= 100 * step_s / 60 * 2 + 1  # and no flood
    assert "epoch 1/10, step " in lines[-1]
    assert "loss 1.500" in lines[-1]


def test_time_left_is_that_of_the_steps_so_far() -> None:
    seconds: list[float] = []
    lines = lines_of(seconds, 6.0)
    step = int(lines[-1].split("step ")[1].split("/")[0])
    assert lines[-1].endswith(f", about {duration_text((1000 - step) * 6.0)} left")


def test_no_lines_beside_a_bar_or_when_quiet() -> None:
    assert not any("step" in line for line in lines_of([], 30.0, force_terminal=True))
    assert lines_of([], 30.0, quiet=True) == []


def test_pace_of_a_resumed_run_counts_its_own_steps() -> None:
    clock = Clock()
    pace = Pace(1000, 900, clock)
    assert pace.left_s(900) is None
    clock.now = 20.0
    assert pace.left_s(910) == pytest.approx(180.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99.4, "99 s"), (100, "2 min"), (3599, "60 min"), (7500, "2 h 05 min"), (200_000, "2 days 7 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_run_tells_each_evaluation_and_the_time_left(
    settings: Callable[[Path], TrainConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(settings(tmp_path / "run"), quiet=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if " epoch " in line and "mAP" in line]
    assert [line.split(" epoch ")[1].split(":")[0] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all("loss " in line for line in lines)
    assert ["left" in line for line in lines] == [True, True, False]
