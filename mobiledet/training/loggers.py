"""Where the course of a run is written down: its folder, TensorBoard, and loggers of Lightning such as MLflow's."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lightning.fabric.loggers import Logger

from mobiledet.spec import ModelSpec
from mobiledet.training.config import TrainConfig
from mobiledet.training.curves import CurvePoint, append_point
from mobiledet.training.mistakes import Mistakes
from mobiledet.training.report import PageContent, write_report
from mobiledet.training.run_folder import RunFolder, config_to_json
from mobiledet.training.samples import Sample
from mobiledet.training.validation import Validation, scores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is told of an evaluation.

    Attributes:
        epoch: epochs done.
        step: steps done since the run began.
        loss: mean of the epoch.
        validation: what was found.
        samples: pictures of it.
        mistakes: what was wrong in it.
        is_best: whether its weights are kept as the best.
        ending: why the run ends with it before its last epoch; else empty.
    """

    epoch: int
    step: int
    loss: float
    validation: Validation
    samples: Sequence[Sample]
    mistakes: Mistakes
    is_best: bool
    ending: str = ""


class RunLogger(Protocol):
    """Is told of the course of a run, in the first of its processes alone."""

    def note(self, point: CurvePoint) -> None:
        """Take means of losses, learning rate and speed, several times an epoch and at its end."""

    def evaluated(self, evaluation: Evaluation) -> None:
        """Take an evaluation; the note of its epoch's end is there already."""

    def close(self, is_done: bool) -> None:
        """The run is done, or was stopped and may be resumed."""


class FolderLogger:
    """Lines of metrics.jsonl and curves.jsonl, and report.html that shows them.

    Args:
        folder, config, spec: of the run.
        trained_on: pictures as the network is trained on them.
    """

    def __init__(self, folder: RunFolder, config: TrainConfig, spec: ModelSpec, trained_on: Sequence[Sample]) -> None:
        self._folder = folder
        self._config = config
        self._spec = spec
        self._trained_on = trained_on

    def note(self, point: CurvePoint) -> None:
        """A line of curves.jsonl."""
        append_point(self._folder.curves, point)

    def evaluated(self, evaluation: Evaluation) -> None:
        """A line of metrics.jsonl, and the report anew."""
        metrics = scores(evaluation.validation.metrics)
        self._folder.log({"epoch": evaluation.epoch, "loss": evaluation.loss, **metrics})
        content = PageContent(
            evaluation.validation, evaluation.samples, evaluation.mistakes, self._trained_on, evaluation.ending
        )
        write_report(self._folder, self._config, self._spec, content)

    def close(self, is_done: bool) -> None:
        """Nothing is open."""


class LightningLogger:
    """A logger of Lightning, which is given the settings and the numbers that TensorBoard gets."""

    def __init__(self, logger: Logger, config: TrainConfig) -> None:
        self._logger = logger
        with contextlib.suppress(NotImplementedError):  # such as that of CSV files
            logger.log_hyperparams(config_to_json(config))

    def note(self, point: CurvePoint) -> None:
        """Log losses, learning rate and speed."""
        self._logger.log_metrics(course(point), point.step)

    def evaluated(self, evaluation: Evaluation) -> None:
        """Log mAP, and the AP of each class."""
        self._logger.log_metrics(numbers(evaluation.validation), evaluation.step)

    def close(self, is_done: bool) -> None:
        """Say that the run is done, or was aborted."""
        self._logger.finalize("success" if is_done else "aborted")


def course(point: CurvePoint) -> dict[str, float]:
    """A note under the names of diagrams."""
    losses = {f"loss/{name}": value for name, value in point.losses.items()}
    return {**losses, "train/lr": point.lr, "train/images_per_s": point.images_per_s}


def numbers(validation: Validation) -> dict[str, float]:
    """mAP, AP50, AP75 and the AP of each class under the names of diagrams; without those that have no box to find."""
    metrics: dict[str, Any] = scores(validation.metrics)
    totals = {f"validation/{name}": metrics[key] for name, key in (("mAP", "AP"), ("AP50", "AP50"), ("AP75", "AP75"))}
    classes = {f"class AP/{name}": value for name, value in metrics["per_class"].items()}
    return {name: value for name, value in (totals | classes).items() if value is not None}
