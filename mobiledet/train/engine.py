"""The training run, top to bottom."""

import dataclasses
import json
import math
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.fabric import Fabric
from rich.console import Console
from torch import nn
from torch.multiprocessing.spawn import ProcessException

from mobiledet.backbones import load_pretrained
from mobiledet.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mobiledet.complexity import count_parameters
from mobiledet.data.coco import CocoDataset
from mobiledet.data.loader import Batch, DetectionLoader, build_loader
from mobiledet.data.transforms import Augmentation, train_transform
from mobiledet.detectors import Detector, Targets, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.metrics.coco import CocoMetrics
from mobiledet.ops.images import normalize
from mobiledet.spec import ModelSpec
from mobiledet.train.config import TrainConfig
from mobiledet.train.optimization import AveragedWeights, parameter_groups, warmup_cosine
from mobiledet.train.progress import TrainProgress
from mobiledet.train.run_folder import RunFolder, code_commit
from mobiledet.train.setup import (
    check_settings,
    choose_workers,
    load_data,
    make_fabric,
    make_spec,
    prepare_data,
    share_cores,
)
from mobiledet.train.tensorboard import open_log
from mobiledet.train.validation import gather, validate
from mobiledet.weights import load_weights

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG_EVERY_STEPS = 20


@dataclass(frozen=True)
class TrainResult:
    """What a run ends with.

    Attributes:
        folder: of the run.
        checkpoint: the weights with the highest validation mAP.
        metrics: of those weights.
        seconds: the run took, data set and evaluations included.
    """

    folder: Path
    checkpoint: Path
    metrics: CocoMetrics
    seconds: float


def run(config: TrainConfig) -> None:
    """The command ``mobiledet train``."""
    result = train(config, quiet=False)
    Console().print(
        f"best mAP {result.metrics.AP:.4f} (AP50 {result.metrics.AP50:.4f}), {result.seconds:.0f} s\n"
        f"next: mobiledet export {result.checkpoint}",
        highlight=False,
        soft_wrap=True,
    )


def train(config: TrainConfig, quiet: bool = True) -> TrainResult:
    """Train a detector; returns when the last epoch is evaluated and saved.

    With several devices each gets a process of its own.

    Raises:
        UserError: a setting is wrong, data are bad, or the loss is no longer finite.
    """
    if config.resume:
        path = config.resume
        config = dataclasses.replace(RunFolder(path).load_config(), out=path, resume=path)
    check_settings(config)
    prepare_data(config)
    fabric = make_fabric(config)
    with tempfile.TemporaryDirectory() as scratch:
        mistake = Path(scratch) / "mistake.txt"
        try:
            # as partial and as a plain dict, because lightning's launcher cannot pass frozen dataclasses on
            folder, metrics, seconds = fabric.launch(
                partial(_train_telling_mistakes, config=config, quiet=quiet, mistake=mistake)
            )
        except ProcessException as error:
            if mistake.exists():
                raise UserError(mistake.read_text(encoding="utf-8")) from error
            raise
    return TrainResult(folder, RunFolder(folder).best, CocoMetrics(**metrics), seconds)


def _train_telling_mistakes(
    fabric: Fabric, config: TrainConfig, quiet: bool, mistake: Path
) -> tuple[Path, dict[str, Any], float]:
    """``_train``, which leaves the message of a UserError in a file: an exception does not cross processes, and the
    processes that waited for the one with the mistake die too."""
    try:
        return _train(fabric, config, quiet)
    except UserError as error:
        mistake.write_text(str(error), encoding="utf-8")
        raise


def _train(fabric: Fabric, config: TrainConfig, quiet: bool) -> tuple[Path, dict[str, Any], float]:
    """The run of one process; returns the run folder, the best metrics and the seconds it took."""
    started = time.monotonic()
    console = Console(quiet=quiet or not fabric.is_global_zero)
    torch.manual_seed(config.seed)
    train_set, val_set = load_data(config)
    spec = make_spec(config, train_set)
    # on its device from the start: the averaged weights and the optimiser hold on to these very tensors
    detector = detector_from_spec(spec).to(fabric.device).to(memory_format=torch.channels_last)
    if config.pretrained and not config.resume:
        with fabric.rank_zero_first():  # the others find in the cache what the first one fetched
            load_pretrained(detector.backbone, config.backbone, config.pretrained)
    optimizer = torch.optim.AdamW(
        parameter_groups(detector, config.weight_decay, config.decay_depthwise),
        lr=config.lr,
        fused=config.precision != "16-mixed",  # with scaled gradients lightning cannot clip before a fused step
    )
    workers = choose_workers(config, fabric.device)
    share_cores(config, fabric.device, workers)
    train_loader, val_loader = _loaders(config, spec, train_set, val_set, fabric, workers)
    folder = cast(RunFolder, fabric.broadcast(_open_folder(config, spec) if fabric.is_global_zero else None))
    state = TrainState(spec, detector, optimizer, AveragedWeights(detector, config.ema_decay))
    if config.resume:
        state.load(folder.last)
    _report_left_out(console, (*train_set.skipped, *val_set.skipped))
    console.print(
        f"{spec.name}: {count_parameters(detector) / 1e6:.2f} M parameters, "
        f"{len(train_set.images)} training and {len(val_set.images)} validation images, run folder {folder.path}",
        highlight=False,
        soft_wrap=True,
    )

    wrapped, wrapped_optimizer = fabric.setup(detector, optimizer)
    steps_per_epoch = len(train_loader)
    total_steps = config.epochs * steps_per_epoch
    share = warmup_cosine(config.warmup_steps, total_steps)
    log = open_log(folder.path / "tensorboard", state.epoch * steps_per_epoch) if fabric.is_global_zero else None
    with TrainProgress(console, total_steps, state.epoch * steps_per_epoch, config.epochs) as progress:
        for epoch in range(state.epoch, config.epochs):
            train_loader.set_epoch(epoch)
            detector.train()
            meter = Meter()
            for step, batch in enumerate(train_loader, start=epoch * steps_per_epoch):
                for group in optimizer.param_groups:
                    group["lr"] = config.lr * share(step)
                losses = train_step(fabric, wrapped, wrapped_optimizer, batch, spec, config.clip_norm)
                state.average.update(step)
                meter.add(losses, len(batch) * fabric.world_size)
                is_logged = step % LOG_EVERY_STEPS == 0 or step + 1 == total_steps
                if is_logged or fabric.device.type == "cpu":  # reading a loss from a GPU would make it wait
                    _check_finite(losses, step, batch)
                if is_logged and log:
                    _log_step(log, meter, step, optimizer.param_groups[0]["lr"])
                    progress.step(step + 1, epoch + 1, meter.loss, meter.images_per_s)
            state.epoch = epoch + 1
            state.average.synchronize()
            if state.epoch % config.eval_every == 0 or state.epoch == config.epochs:
                metrics = validate(state.average.model, spec, val_set, val_loader, fabric.device)
                is_best = state.take(metrics)
                if log:
                    progress.evaluated(state.epoch, meter.loss, metrics, is_best)
                    log.add_scalar("validation/mAP", metrics.AP, state.epoch * steps_per_epoch)
                    folder.log({"epoch": state.epoch, "loss": meter.loss, **dataclasses.asdict(metrics)})
                    if is_best:
                        state.save(folder.best, for_use=True)
            if log:
                state.save(folder.last)
    if log:
        log.close()
    _report_left_out(console, gather({**train_loader.bad_images, **val_loader.bad_images}))
    assert state.best is not None, "the last epoch is always evaluated"
    return folder.path, dataclasses.asdict(state.best), time.monotonic() - started


def _report_left_out(console: Console, notes: Collection[str]) -> None:
    """How many images and annotations were left out as bad, and which."""
    if notes:
        console.print(f"left out {len(notes)}:", *notes, sep="\n  ", highlight=False, soft_wrap=True)


def _open_folder(config: TrainConfig, spec: ModelSpec) -> RunFolder:
    return RunFolder(config.resume) if config.resume else RunFolder.create(config, spec.name)


def train_step(
    fabric: Fabric,
    detector: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    spec: ModelSpec,
    clip_norm: float,
) -> dict[str, torch.Tensor]:
    """One step on one batch; returns the losses, detached."""
    batch = batch.to(fabric.device)
    losses = detector(normalize(batch.images, spec.input), Targets(batch.boxes, batch.labels))
    optimizer.zero_grad()
    fabric.backward(torch.stack(list(losses.values())).sum())
    fabric.clip_gradients(detector, optimizer, max_norm=clip_norm, error_if_nonfinite=False)
    optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}


class TrainState:
    """All that changes during a run, and its way to disk and back."""

    def __init__(
        self, spec: ModelSpec, detector: Detector, optimizer: torch.optim.Optimizer, average: AveragedWeights
    ) -> None:
        self.spec = spec
        self.detector = detector
        self.optimizer = optimizer
        self.average = average
        self.epoch = 0
        self.best: CocoMetrics | None = None

    def take(self, metrics: CocoMetrics) -> bool:
        """Note an evaluation of the averaged weights; returns whether it is the best so far."""
        if self.best is not None and metrics.AP <= self.best.AP:
            return False
        self.best = metrics
        return True

    def save(self, path: Path, for_use: bool = False) -> None:
        """Write all that a resumed run needs, or, ``for_use``, the averaged weights alone."""
        training = {
            "epoch": self.epoch,
            "best": dataclasses.asdict(self.best) if self.best else None,
            "weights": self.detector.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        info = dataclasses.replace(self.spec.training, epochs=self.epoch, commit=code_commit())
        spec = dataclasses.replace(self.spec, training=info)
        save_checkpoint(path, Checkpoint(spec, self.average.model.state_dict(), None if for_use else training))

    def load(self, path: Path) -> None:
        """Take up where ``save`` left off.

        Raises:
            UserError: the checkpoint is damaged, of another model, or holds no training state.
        """
        checkpoint = load_checkpoint(path)
        training: dict[str, Any] | None = checkpoint.training
        if training is None:
            raise UserError(f"{path} cannot be resumed from: it holds weights alone")
        load_weights(self.average.model, checkpoint.weights, path)
        same_training = dataclasses.replace(checkpoint.spec, training=self.spec.training)
        if json.dumps(same_training.to_json()) != json.dumps(self.spec.to_json()):
            raise UserError(
                f"{path} does not fit today's data or settings (classes, anchors or input differ); start a new run"
            )
        load_weights(self.detector, training["weights"], path)
        self.optimizer.load_state_dict(training["optimizer"])
        self.epoch = training["epoch"]
        self.best = CocoMetrics(**training["best"]) if training["best"] else None


class Meter:
    """Mean losses and speed of an epoch so far."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._sums: dict[str, torch.Tensor] = {}
        self._steps = 0
        self._images = 0

    def add(self, losses: dict[str, torch.Tensor], images: int) -> None:
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(loss)) + loss
        self._steps += 1
        self._images += images

    @property
    def losses(self) -> dict[str, float]:
        return {name: float(total) / self._steps for name, total in self._sums.items()}

    @property
    def loss(self) -> float:
        return sum(self.losses.values())

    @property
    def images_per_s(self) -> float:
        return self._images / (time.monotonic() - self._started)


def _loaders(
    config: TrainConfig,
    spec: ModelSpec,
    train_set: CocoDataset,
    val_set: CocoDataset,
    fabric: Fabric,
    workers: int,
) -> tuple[DetectionLoader, DetectionLoader]:
    height, width = spec.input.height, spec.input.width
    augmentation = Augmentation(crop_probability=config.crop_probability)
    train_loader = build_loader(
        train_set,
        config.batch_size // fabric.world_size,
        transform=train_transform(height, width, augmentation),
        height=height,
        width=width,
        shuffle=True,
        workers=workers,
        seed=config.seed,
        drop_last=True,
        on_bad_data=config.on_bad_data,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    val_loader = build_loader(
        val_set,
        config.batch_size // fabric.world_size,
        transform=None,
        height=height,
        width=width,
        shuffle=False,
        workers=workers,
        on_bad_data=config.on_bad_data,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    return train_loader, val_loader


def _check_finite(losses: dict[str, torch.Tensor], step: int, batch: Batch) -> None:
    """Raises UserError when a loss is not a finite number; it names the images."""
    total = float(sum(losses.values()))
    if not math.isfinite(total):
        ids = ", ".join(str(i) for i in batch.image_ids.tolist())
        raise UserError(f"the loss is {total} at step {step}, images {ids}; lower --lr, or look at these images")


def _log_step(writer: "SummaryWriter", meter: Meter, step: int, lr: float) -> None:
    """Write the running means to TensorBoard."""
    for name, value in meter.losses.items():
        writer.add_scalar(f"loss/{name}", value, step)
    writer.add_scalar("train/lr", lr, step)
    writer.add_scalar("train/images_per_s", meter.images_per_s, step)
