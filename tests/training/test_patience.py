"""A run that ends because its mAP no longer grows, stopped and resumed on the way or not."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.checkpoint import load_checkpoint, save_checkpoint
from mobiledet.errors import UserError
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import TrainResult, train
from mobiledet.training.run_folder import config_to_json

Settings = Callable[[Path], TrainConfig]
EPOCHS, PATIENCE = 40, 1


def impatient(settings: Settings, folder: Path) -> TrainConfig:
    """A learning rate of next to nothing, so that the mAP does not grow from the start."""
    return dataclasses.replace(settings(folder), epochs=EPOCHS, lr=1e-12, patience=PATIENCE)


@pytest.fixture(scope="module")
def ended(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(impatient(settings, tmp_path_factory.mktemp("patience") / "run"))


def maps(folder: Path) -> list[float]:
    return [json.loads(line)["AP"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_run_ends_after_an_evaluation_that_is_no_better(ended: TrainResult) -> None:
    found = maps(ended.folder)
    assert len(found) < EPOCHS
    assert found.index(max(found)) == len(found) - 1 - PATIENCE
    training = load_checkpoint(ended.folder / "last.ckpt").training
    assert training is not None
    assert (training["epoch"], training["stale"]) == (len(found), PATIENCE)


def test_a_run_that_ended_is_complete_and_can_go_on(
    ended: TrainResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    epochs = len(maps(ended.folder))
    reason = f"topped after epoch {epochs}: no better mAP in the last evaluation; "
    page = (ended.folder / "report.html").read_text()
    assert reason + f"going on to epoch {EPOCHS} would have taken about" in page
    folder = Path(shutil.copytree(ended.folder, tmp_path / "run"))
    before = (folder / "last.ckpt").read_bytes()
    train(TrainConfig(resume=folder), quiet=False)
    assert reason + "the run is complete" in capsys.readouterr().out
    assert (folder / "last.ckpt").read_bytes() == before
    train(TrainConfig(resume=folder, patience=PATIENCE + 1))
    assert len(maps(folder)) > epochs


def test_checkpoints_from_before_patience_are_resumed(settings: Settings, trained: TrainResult, tmp_path: Path) -> None:
    """And a count that is none is refused."""
    (tmp_path / "config.json").write_text(json.dumps({"config": config_to_json(settings(tmp_path))}))
    checkpoint = load_checkpoint(trained.folder / "last.ckpt")
    assert checkpoint.training is not None
    del checkpoint.training["stale"]
    save_checkpoint(tmp_path / "last.ckpt", checkpoint)
    assert train(TrainConfig(resume=tmp_path)).metrics == trained.metrics
    checkpoint.training["stale"] = -1
    save_checkpoint(tmp_path / "last.ckpt", checkpoint)
    with pytest.raises(UserError, match="training state is damaged"):
        train(TrainConfig(resume=tmp_path))
