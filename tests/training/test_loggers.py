import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from lightning_fabric.loggers import CSVLogger

from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train


def test_a_logger_of_lightning_is_told_what_tensorboard_is(
    settings: Callable[[Path], TrainConfig], tmp_path: Path
) -> None:
    logger = CSVLogger(tmp_path / "csv")
    config = dataclasses.replace(settings(tmp_path / "run"), epochs=2)
    result = train(config, loggers=[logger])
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    evaluations = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    assert [float(row["validation/mAP"]) for row in rows if row["validation/mAP"]] == [e["AP"] for e in evaluations]
    notes = [json.loads(line) for line in (result.folder / "curves.jsonl").read_text().splitlines()]
    logged = {int(row["step"]): float(row["loss/class"]) for row in rows if row["loss/class"]}
    assert logged == {note["step"]: note["losses"]["class"] for note in notes}
