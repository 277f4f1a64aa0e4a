"""The look at the losses of the first steps."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobiledet.training import learning
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train
from mobiledet.training.learning import LearningCheck, judged

FINE_TUNED = TrainConfig(init=Path("best.ckpt"))


def losses(first: float, last: float, spread: float = 0.2, steps: int = 200, seed: int = 0) -> list[float]:
    """A straight course with the noise of small batches."""
    noise = np.random.default_rng(seed).normal(0, spread, steps)
    return (np.linspace(first, last, steps) + noise).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_a_loss_that_falls_is_no_news(seed: int) -> None:
    assert judged(losses(3.0, 1.5, seed=seed), TrainConfig()) == ""
    # as the built-in set begins: less than two batches differ
    assert judged(losses(3.06, 2.92, spread=0.1, seed=seed), TrainConfig()) == ""
    assert judged([*np.geomspace(9, 2, 8), *losses(2.0, 2.0, seed=seed)[8:]], TrainConfig()) == ""
    assert judged(losses(1.2, 1.2, seed=seed), FINE_TUNED) == ""
    assert judged(losses(1.0, 1.2, seed=seed), FINE_TUNED) == ""


def test_a_loss_that_stays_is_told_where_the_run_began_from_nothing() -> None:
    told = judged(losses(3.0, 3.0), TrainConfig())
    assert "the loss has not fallen over the first 200 steps (" in told
    assert "lower --lr, such as to 0.0002 from 0.002" in told
    assert "raise --lr from 1e-06" in judged(losses(3.0, 3.0), TrainConfig(lr=1e-6))
    # by chance alone one course in ten looks like a fall
    assert sum(not judged(losses(3.0, 3.0, seed=seed), TrainConfig()) for seed in range(200)) < 35


@pytest.mark.parametrize("config", [TrainConfig(), FINE_TUNED])
def test_a_loss_that_rises_is_told_in_any_run(config: TrainConfig) -> None:
    assert "the loss has risen over the first 200 steps (" in judged(losses(1.0, 5.0), config)
    # a single batch of a high loss is no rise
    assert "risen" not in judged([*losses(1.0, 1.0)[:-1], 1e6], config)


def told_by(total_steps: int, begin: int = 0) -> list[str]:
    told: list[str] = []
    check = LearningCheck(TrainConfig(), total_steps, told.append)
    for step in range(begin, total_steps):
        check.read(step, 3.0)
    return told


def test_it_is_told_once_after_200_steps_or_a_fifth_of_the_run() -> None:
    for total_steps, after in ((10_000, 200), (500, 100), (150, 60), (120, 60)):
        (told,) = told_by(total_steps)
        assert f"over the first {after} steps" in told
    assert told_by(119) == []
    assert told_by(1000, begin=1) == []  # a run that is resumed


def test_a_run_that_learns_nothing_is_told(
    settings: Callable[[Path], TrainConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(learning, "WINDOW", 3)  # an epoch, so that both windows hold the same images
    monkeypatch.setattr(learning, "MIN_STEPS", 6)
    monkeypatch.setattr(learning, "CHANCE", 0.0)
    config = dataclasses.replace(settings(tmp_path / "run"), lr=1e-12, epochs=4, eval_every=4)
    train(config, quiet=False)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: the loss")]
    assert len(told) == 1
    assert "over the first 6 steps" in told[0]
    assert "raise --lr from 1e-12" in told[0]
