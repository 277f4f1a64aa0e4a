"""The state of a run, and how it is saved and restored."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mobiledet.checkpoint import Checkpoint, save_checkpoint
from mobiledet.detectors import Detector
from mobiledet.errors import UserError
from mobiledet.metrics.coco import CocoMetrics
from mobiledet.records import Range, decode
from mobiledet.spec import ModelSpec
from mobiledet.training.config import MAX_EPOCHS
from mobiledet.training.meter import Meter
from mobiledet.training.optimization import AveragedWeights
from mobiledet.training.run_folder import RunFolder, code_commit
from mobiledet.training.validation import gather
from mobiledet.weights import first_line, load_weights


class TrainState:
    """Weights, optimiser and progress of a run.

    It needs no state of random generators: random numbers depend only on seed, position and rank.

    Attributes:
        spec: description of the model.
        detector: the network in training.
        optimizer: its optimiser.
        average: the moving average of its weights.
        epoch: number of epochs that are trained and evaluated.
        step: number of steps in the current epoch.
        meter: losses of those steps.
        best: metrics of the best evaluation so far.
        stale: number of evaluations since then.
        data: description of the data in checkpoints, see ``Checkpoint``.
    """

    def __init__(
        self,
        fabric: Fabric,
        spec: ModelSpec,
        detector: Detector,
        optimizer: torch.optim.Optimizer,
        average: AveragedWeights,
    ) -> None:
        self.spec = spec
        self.detector = detector
        self.optimizer = optimizer
        self.average = average
        self.epoch = 0
        self.step = 0
        self.meter = Meter()
        self.best: CocoMetrics | None = None
        self.stale = 0
        self.data: dict[str, Any] | None = None
        self._fabric = fabric

    def next_epoch(self) -> None:
        """Move on to the next epoch."""
        self.epoch += 1
        self.step = 0
        self.meter = Meter()

    def update_best(self, metrics: CocoMetrics) -> bool:
        """Compare an evaluation of the averaged weights with the best so far; returns whether they become the best.
        The best weights have the highest mAP; without objects there is no mAP, and the newest are the best."""
        if self.best is not None and metrics.has_score and metrics.AP <= self.best.AP:
            self.stale += 1
            return False
        self.best = metrics
        self.stale = 0
        return True

    def save_for_use(self, path: Path) -> None:
        """Write a checkpoint for inference, with the averaged weights only."""
        self._write(path, training=None)

    def save(self, folder: RunFolder) -> None:
        """Write a checkpoint to resume from, and keep the one before it. All processes must call this together."""
        own = {"statistics": self.average.statistics(), "meter": self.meter.state()}
        shares = gather({self._fabric.global_rank: own})
        if not self._fabric.is_global_zero:
            return
        training = {
            "epoch": self.epoch,
            "step": self.step,
            "best": dataclasses.asdict(self.best) if self.best else None,
            "stale": self.stale,
            "weights": self.detector.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "processes": [shares[rank] for rank in sorted(shares)],
        }
        self._write(folder.last, training, folder.previous)

    def _write(self, path: Path, training: dict[str, Any] | None, previous: Path | None = None) -> None:
        info = dataclasses.replace(self.spec.training, epochs=self.epoch, commit=code_commit())
        spec = dataclasses.replace(self.spec, training=info)
        save_checkpoint(path, Checkpoint(spec, self.average.model.state_dict(), training, self.data), previous)

    def load(self, checkpoint: Checkpoint, source: Path) -> None:
        """Restore the state that ``save`` wrote.

        Args:
            checkpoint: the content of the file.
            source: the file, for error messages.

        Raises:
            UserError: the checkpoint belongs to another model, or holds no complete training state.
        """
        training = checkpoint.training
        if training is None or "processes" not in training:
            raise UserError(f"{source} cannot be resumed from: it holds no complete training state")
        load_weights(self.average.model, checkpoint.weights, source)
        same_training = dataclasses.replace(checkpoint.spec, training=self.spec.training)
        if json.dumps(same_training.to_json()) != json.dumps(self.spec.to_json()):
            raise UserError(
                f"{source} does not match the present data or settings (classes, anchors or input differ); start a new "
                "run"
            )
        try:
            self._restore(training, source)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
            raise UserError(
                f"{source} cannot be resumed from: its training state is damaged ({first_line(error)})"
            ) from error

    def _restore(self, training: dict[str, Any], source: Path) -> None:
        load_weights(self.detector, training["weights"], source)
        self.optimizer.load_state_dict(training["optimizer"])
        for parameter, moments in self.optimizer.state.items():
            if any(value.numel() > 1 and value.shape != parameter.shape for value in moments.values()):
                raise ValueError("a moment of the optimiser does not have the shape of its weights")
        self._fabric.strategy.precision.load_state_dict(training["precision"])
        self.epoch = decode(Annotated[int, Range(0, MAX_EPOCHS)], training["epoch"], "epoch")
        self.step = decode(Annotated[int, Range(0)], training["step"], "step")
        self.best = decode(CocoMetrics, training["best"], "best") if training["best"] else None
        self.stale = decode(Annotated[int, Range(0, MAX_EPOCHS)], training.get("stale", 0), "stale")
        shares = training["processes"]
        if len(shares) == self._fabric.world_size:
            shares = [shares[self._fabric.global_rank]]
        # with another number of processes than before, each of them gets the mean over the former ones
        self.average.restore_statistics(_mean([share["statistics"] for share in shares]))
        sums = {name: _mean([share["meter"][name] for share in shares]) for name in shares[0]["meter"]}
        self.meter.restore(sums, self.step, self._fabric.device)


def _mean(tensors: list[Tensor]) -> Tensor:
    return torch.stack(tensors).mean(0)
