"""Everything before the first training step: data, network, weights, loaders, run folder and loggers."""

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers import Logger
from lightning_fabric.wrappers import _FabricModule
from rich.console import Console
from torch import nn

from mobiledet.backbones import load_pretrained
from mobiledet.checkpoint import Checkpoint, check_size
from mobiledet.complexity import count_parameters
from mobiledet.data.dataset import DetectionSet, LeftOut, count_by_reason
from mobiledet.data.loader import DetectionLoader
from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec
from mobiledet.training.allocator import keep_freed_memory
from mobiledet.training.config import TrainConfig
from mobiledet.training.faults import faults_as_user_errors
from mobiledet.training.finetune import load_start_checkpoint, load_start_weights
from mobiledet.training.interruption import Interruption
from mobiledet.training.learning import LearningCheck
from mobiledet.training.loggers import FolderLogger, LightningLogger, RunLogger
from mobiledet.training.optimization import AveragedWeights, build_optimizer, peak_lr
from mobiledet.training.progress import Pace, TrainProgress
from mobiledet.training.qat import prepare_qat
from mobiledet.training.run_folder import RunFolder
from mobiledet.training.samples import draw_training_samples
from mobiledet.training.setup import (
    changed_data,
    choose_workers,
    data_record,
    describe_data,
    load_data,
    make_loaders,
    make_spec,
    prepare_data,
    share_cores,
)
from mobiledet.training.state import TrainState
from mobiledet.training.tensorboard import TensorBoardLogger
from mobiledet.training.validation import gather


class LeftOutList:
    """Reports images and annotations that are left out as bad, each once, and lists them in the run folder.

    Args:
        console: where to print.
        folder: the run folder in the process of rank 0; None in the others, which report nothing.
    """

    def __init__(self, console: Console, folder: RunFolder | None) -> None:
        self._console = console
        self._folder = folder
        self._reported: dict[LeftOut, None] = {}

    def report(self, entries: Sequence[LeftOut]) -> None:
        """Report the entries that were not reported before."""
        new = [entry for entry in dict.fromkeys(entries) if entry not in self._reported]
        self._reported.update(dict.fromkeys(new))
        if new and self._folder:
            self._folder.write_left_out(tuple(self._reported))
            self._console.print(f"left out {len(new)}: {count_by_reason(new)}; listed in {self._folder.left_out}")
            self._console.print(f"  such as {new[0].text}", markup=False)


@dataclass(frozen=True)
class Run:
    """Everything that a training run works with.

    Attributes:
        detector, optimizer: as wrapped by Fabric.
        steps_per_epoch: number of full batches in an epoch; the remaining images are left out.
        loggers: the loggers in the process of rank 0; empty in the others.
        progress: also one of ``loggers``; to be entered as a context, like ``interruption``.
        learning: checks the losses of the first steps.
    """

    config: TrainConfig
    fabric: Fabric
    console: Console
    state: TrainState
    detector: _FabricModule
    optimizer: torch.optim.Optimizer
    train_loader: DetectionLoader
    val_loader: DetectionLoader
    val_set: DetectionSet
    folder: RunFolder
    steps_per_epoch: int
    loggers: tuple[RunLogger, ...]
    pace: Pace
    progress: TrainProgress
    learning: LearningCheck
    interruption: Interruption
    left_out: LeftOutList

    def time_left_s(self) -> float | None:
        """Seconds to the last epoch; None if this process has trained none."""
        return self.pace.left_s(self.state.epoch * self.steps_per_epoch + self.state.step)

    def unreadable(self) -> list[LeftOut]:
        """Images that the loaders of all processes could not read so far; all processes must call this together."""
        texts = gather({text: None for loader in (self.train_loader, self.val_loader) for text in loader.bad_images})
        return [LeftOut("images that cannot be read", text) for text in texts]


def prepare(config: TrainConfig, fabric: Fabric, console: Console, stack: ExitStack, others: Sequence[Logger]) -> Run:
    """Prepare a new or resumed run.

    Args:
        config: checked settings.
        fabric: Fabric of this process.
        console: where to describe data, weights and network.
        stack: until it is closed, keeps the run folder locked, so that no other process trains there, and torch's
            threads limited.
        others: Lightning loggers, in addition to the run folder and TensorBoard.

    Raises:
        UserError: data are bad, weights do not fit, or the run folder is in use or cannot be written.
    """
    existing = config.resume or config.out
    if fabric.is_global_zero and existing and existing.is_dir():  # lock it before reading its checkpoints
        stack.enter_context(RunFolder(existing).locked())
    torch.manual_seed(config.seed)
    with fabric.rank_zero_first(local=True):
        prepare_data(config)
    train_set, val_set = load_data(config)
    before, source = _starting_checkpoint(config, console)
    spec = make_spec(config, train_set, before.spec if before else None)
    detector = _build(fabric, config, spec)
    workers = choose_workers(config, fabric.device)
    stack.callback(torch.set_num_threads, torch.get_num_threads())  # for the caller, once the run has ended
    share_cores(config, fabric.device, workers)
    if fabric.device.type == "cpu":
        keep_freed_memory()
    for line in describe_data(config, spec, train_set, val_set):
        console.print(line)
    train_loader, val_loader = make_loaders(config, spec, train_set, val_set, fabric, workers)
    if train_loader.dataset.disk_cache:
        console.print(train_loader.dataset.disk_cache.plan(train_set.images))
    if before and not config.resume:
        console.print(load_start_weights(detector, spec, before, source))
    if config.qat:
        prepare_qat(detector)
    optimizer = build_optimizer(config, detector)
    state = TrainState(fabric, spec, detector, optimizer, AveragedWeights(detector, config.ema_decay))
    state.data = data_record(config, train_set, val_set).to_json()
    if before and config.resume:
        state.load(before, source)
        console.print(changed_data(before.data, state.data), end="")
        if state.epoch > config.epochs:
            raise UserError(f"--epochs {config.epochs}: {config.resume} has already done {state.epoch}")
    folder = cast(RunFolder, fabric.broadcast(_open_folder(config, state, stack) if fabric.is_global_zero else None))
    steps_per_epoch = len(train_set.images) // config.batch_images
    done_steps = state.epoch * steps_per_epoch + state.step
    pace = Pace(config.epochs * steps_per_epoch, done_steps)
    progress = TrainProgress(console, pace, steps_per_epoch, done_steps, config.epochs)
    loggers: tuple[RunLogger, ...] = ()
    if fabric.is_global_zero:
        # if the checkpoint was saved just before the end of an epoch, that epoch's last step is logged again
        purge_step = done_steps + (state.step < steps_per_epoch)
        with faults_as_user_errors(folder.path, fabric.world_size):
            tensorboard = TensorBoardLogger(folder.path / "tensorboard", purge_step, config)
        lightning = (LightningLogger(each, config) for each in others)
        of_folder = FolderLogger(folder, config, spec, draw_training_samples(train_loader))
        loggers = (progress, of_folder, tensorboard, *lightning)
    wrapped, wrapped_optimizer = fabric.setup(detector, optimizer)
    run = Run(
        config,
        fabric,
        console,
        state,
        wrapped,
        wrapped_optimizer,
        train_loader,
        val_loader,
        val_set,
        folder,
        steps_per_epoch,
        loggers,
        pace,
        progress,
        LearningCheck(config, pace.total_steps, console.print),
        Interruption(),
        LeftOutList(console, folder if fabric.is_global_zero else None),
    )
    run.left_out.report((*train_set.left_out, *val_set.left_out, *run.unreadable()))
    console.print(
        f"{spec.name}: {_parameter_text(detector)}, "
        f"{len(train_set.images)} training and {len(val_set.images)} validation images, run folder {folder.path}"
    )
    if peak_lr(config) != config.lr:
        console.print(
            f"learning rate {config.lr:g} for batches of {config.lr_batch_size}, so {peak_lr(config):g} for "
            f"{config.batch_images}"
        )
    return run


def _starting_checkpoint(config: TrainConfig, console: Console) -> tuple[Checkpoint | None, Path]:
    """The checkpoint that the run is resumed from or starts from, if any, and its file."""
    if config.resume:
        before, source, problem = RunFolder(config.resume).newest_checkpoint()
        if before:
            check_size(before, source)
        if problem:
            console.print(f"{problem}; resumed from {source}")
        return before, source
    return (load_start_checkpoint(config.init, config), config.init) if config.init else (None, Path())


def _build(fabric: Fabric, config: TrainConfig, spec: ModelSpec) -> Detector:
    """Build the network on its device. It must stay there, because the averaged weights and the optimiser refer to its
    tensors."""
    detector = detector_from_spec(spec)
    detector.add_training_parts()
    if config.pretrained and not config.init and not config.resume:
        with fabric.rank_zero_first():  # the other processes read the files that the first one has downloaded
            load_pretrained(detector.backbone, config.backbone, config.pretrained)
    if config.sync_bn:
        if fabric.device.type != "cuda":
            raise UserError(f"--sync-bn works only on GPUs, and training runs on {fabric.device.type}; leave it out")
        detector = nn.SyncBatchNorm.convert_sync_batchnorm(detector)
    if config.freeze_backbone:
        detector.backbone.requires_grad_(False)
    return detector.to(fabric.device).to(memory_format=torch.channels_last)


def _parameter_text(detector: Detector) -> str:
    """Number of parameters of the network that is exported, and of the parts that only training uses."""
    extra = sum(p.numel() for name, p in detector.named_parameters() if detector.is_training_part(name))
    text = f"{(count_parameters(detector) - extra) / 1e6:.2f} M parameters"
    return f"{text} (and {extra / 1e6:.2f} M only in training)" if extra else text


def _open_folder(config: TrainConfig, state: TrainState, stack: ExitStack) -> RunFolder:
    if not config.resume:
        return RunFolder.create(config, state.spec.name, stack)
    folder = RunFolder(config.resume)
    folder.rewind(state.epoch)
    folder.write_config(dataclasses.replace(config, resume=None))
    return folder
