"""Loggers of a run: its folder, and Lightning loggers such as MLflow's. TensorBoard has a module of its own."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lightning_fabric.loggers import Logger

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
    """An evaluation as loggers receive it.

    Attributes:
        epoch: number of epochs trained.
        step: number of steps since the run began.
        loss: mean training loss of the epoch.
        validation: metrics and detections.
        samples: validation images with boxes drawn on them.
        mistakes: the errors in the detections.
        is_best: whether the weights are the best so far and are kept.
        ending: why the run ends here before its last epoch; otherwise empty.
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
    """Receives the progress of a run. Only the process of rank 0 has loggers."""

    def log_point(self, point: CurvePoint) -> None:
        """Log mean losses, learning rate and speed; called several times per epoch and at its end."""

    def log_evaluation(self, evaluation: Evaluation) -> None:
        """Log an evaluation; called after the ``log_point`` of the end of its epoch."""

    def close(self, is_done: bool) -> None:
        """End the log.

        Args:
            is_done: whether the run is finished; otherwise it was stopped and may be resumed.
        """


class FolderLogger:
    """Writes metrics.jsonl, curves.jsonl and report.html to the run folder.

    Args:
        folder: run folder.
        config: settings of the run.
        spec: description of the model.
        trained_on: images as the network sees them in training.
    """

    def __init__(self, folder: RunFolder, config: TrainConfig, spec: ModelSpec, trained_on: Sequence[Sample]) -> None:
        self._folder = folder
        self._config = config
        self._spec = spec
        self._trained_on = trained_on

    def log_point(self, point: CurvePoint) -> None:
        """Append a line to curves.jsonl."""
        append_point(self._folder.curves, point)

    def log_evaluation(self, evaluation: Evaluation) -> None:
        """Append a line to metrics.jsonl, and write the report again."""
        metrics = scores(evaluation.validation.metrics)
        self._folder.log({"epoch": evaluation.epoch, "loss": evaluation.loss, **metrics})
        content = PageContent(
            evaluation.validation, evaluation.samples, evaluation.mistakes, self._trained_on, evaluation.ending
        )
        write_report(self._folder, self._config, self._spec, content)

    def close(self, is_done: bool) -> None:
        """Do nothing: no file is open."""


class LightningLogger:
    """Passes the settings and the values that TensorBoard receives to a Lightning logger."""

    def __init__(self, logger: Logger, config: TrainConfig) -> None:
        self._logger = logger
        with contextlib.suppress(NotImplementedError):  # such as CSVLogger
            logger.log_hyperparams(config_to_json(config))

    def log_point(self, point: CurvePoint) -> None:
        """Log losses, learning rate and speed."""
        self._logger.log_metrics(curve_scalars(point), point.step)

    def log_evaluation(self, evaluation: Evaluation) -> None:
        """Log mAP and the AP of each class."""
        self._logger.log_metrics(validation_scalars(evaluation.validation), evaluation.step)

    def close(self, is_done: bool) -> None:
        """Finalise the log with the status "success" or "aborted"."""
        self._logger.finalize("success" if is_done else "aborted")


def curve_scalars(point: CurvePoint) -> dict[str, float]:
    """The values of a curve point by the names of their diagrams."""
    losses = {f"loss/{name}": value for name, value in point.losses.items()}
    return {**losses, "train/lr": point.lr, "train/images_per_s": point.images_per_s}


def validation_scalars(validation: Validation) -> dict[str, float]:
    """mAP, AP50, AP75 and the AP of each class by the names of their diagrams; classes without objects are left out."""
    metrics: dict[str, Any] = scores(validation.metrics)
    totals = {f"validation/{name}": metrics[key] for name, key in (("mAP", "AP"), ("AP50", "AP50"), ("AP75", "AP75"))}
    classes = {f"class AP/{name}": value for name, value in metrics["per_class"].items()}
    return {name: value for name, value in (totals | classes).items() if value is not None}
