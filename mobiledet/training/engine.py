"""The training run, top to bottom."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.fabric import Fabric
from lightning.fabric.wrappers import _FabricModule
from rich.console import Console
from torch import nn

from mobiledet.backbones import load_pretrained
from mobiledet.checkpoint import check_size
from mobiledet.complexity import count_parameters
from mobiledet.data.dataset import DetectionSet, LeftOut, count_by_reason
from mobiledet.data.loader import Batch, DetectionLoader
from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.metrics.coco import CocoMetrics
from mobiledet.spec import ModelSpec
from mobiledet.training.allocator import keep_freed_memory
from mobiledet.training.config import TrainConfig
from mobiledet.training.curves import CurvePoint, append_point
from mobiledet.training.faults import told_faults
from mobiledet.training.finetune import like_start, load_start, start_from
from mobiledet.training.interruption import Interrupted, Interruption
from mobiledet.training.launch import adopt_environment, launch, make_fabric
from mobiledet.training.meter import LossWatch
from mobiledet.training.network_options import HELP, options_text
from mobiledet.training.optimization import AveragedWeights, build_optimizer, highest_lr, learning_rate
from mobiledet.training.progress import TrainProgress
from mobiledet.training.qat import freeze_statistics, prepare_qat
from mobiledet.training.recipe_networks import recipe_json
from mobiledet.training.recipes import LIST, recipe_list
from mobiledet.training.report import write_report
from mobiledet.training.resume import resumed
from mobiledet.training.run_folder import RunFolder
from mobiledet.training.samples import draw_samples
from mobiledet.training.setup import (
    changed_data,
    check_settings,
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
from mobiledet.training.step import seed_step, train_step
from mobiledet.training.tensorboard import is_pictured, log_evaluation, log_samples, open_log
from mobiledet.training.validation import gather, scores, validate

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG_EVERY_STEPS = 20
SAVE = 1  # a wish of ``_wish``, below the numbers of the signals that stop a run


@dataclass(frozen=True)
class TrainResult:
    """What a run ends with.

    Attributes:
        folder: of the run.
        best: the checkpoint with the highest validation mAP.
        metrics: of those weights.
        seconds: the run took, data set and evaluations included.
    """

    folder: Path
    best: Path
    metrics: CocoMetrics
    seconds: float


def run(config: TrainConfig) -> int:
    """The command ``mobiledet train``; returns its exit status."""
    if config.recipe == LIST:
        print(recipe_json() if config.json else recipe_list())
        return 0
    if config.detector_options == (HELP,):
        print(options_text(config.detector))
        return 0
    try:
        train(config, quiet=False)
    except Interrupted as interrupted:
        return interrupted.status
    return 0


def train(config: TrainConfig, quiet: bool = True) -> TrainResult:
    """Train a detector; returns when the last epoch is evaluated and saved.

    With several devices each gets a process of its own, unless torchrun or SLURM has started them already.

    Raises:
        UserError: a setting is wrong, data are bad, or the loss is no longer finite.
        Interrupted: SIGINT or SIGTERM stopped the run, which can be resumed.
    """
    if config.resume:
        config = resumed(config)
    elif config.qat:
        config = like_start(config)
    config = adopt_environment(config)
    check_settings(config)
    # as partial and as a plain dict, because lightning's launcher cannot pass frozen dataclasses on
    folder, metrics, seconds = launch(
        make_fabric(config), partial(_train, config=config, quiet=quiet), config.resume or config.out
    )
    return TrainResult(folder, RunFolder(folder).best, CocoMetrics(**metrics), seconds)


def _train(fabric: Fabric, config: TrainConfig, quiet: bool) -> tuple[Path, dict[str, Any], float]:
    """The run of one process; returns the run folder, the best metrics and the seconds it took."""
    with ExitStack() as stack:
        existing = config.resume or config.out
        if fabric.is_global_zero and existing and existing.is_dir():  # before its checkpoints are looked at
            stack.enter_context(RunFolder(existing).locked())
        return _train_alone(fabric, config, quiet, stack)


def _train_alone(
    fabric: Fabric, config: TrainConfig, quiet: bool, stack: ExitStack
) -> tuple[Path, dict[str, Any], float]:
    """The same; ``stack`` holds the run folder."""
    started = time.monotonic()
    console = Console(quiet=quiet or not fabric.is_global_zero, highlight=False, soft_wrap=True)
    torch.manual_seed(config.seed)
    with fabric.rank_zero_first(local=True):
        prepare_data(config)
    train_set, val_set = load_data(config)

    source = config.init or Path()
    before = load_start(source, config) if config.init and not config.resume else None
    if config.resume:
        before, source, problem = RunFolder(config.resume).newest_checkpoint()
        if before:
            check_size(before, source)
        if problem:
            console.print(f"{problem}; goes on from {source}")
    spec = make_spec(config, train_set, before.spec if before else None)
    detector = _build(fabric, config, spec)
    workers = choose_workers(config, fabric.device)
    share_cores(config, fabric.device, workers)
    if fabric.device.type == "cpu":
        keep_freed_memory()
    for line in describe_data(config, spec, train_set, val_set):
        console.print(line)
    train_loader, val_loader = make_loaders(config, spec, train_set, val_set, fabric, workers)
    if train_loader.dataset.disk_cache:
        console.print(train_loader.dataset.disk_cache.plan(train_set.images))
    if before and not config.resume:
        console.print(start_from(detector, spec, before, source))
    if config.qat:
        prepare_qat(detector)
    optimizer = build_optimizer(config, detector)
    state = TrainState(fabric, spec, detector, optimizer, AveragedWeights(detector, config.ema_decay))
    state.data = data_record(config, train_set, val_set).to_json()
    if before and config.resume:
        state.load(before, source)
        console.print(changed_data(before.data, state.data), end="")
        if state.epoch > config.epochs:
            raise UserError(f"--epochs {config.epochs}: {config.resume} has done {state.epoch} already")
    folder = cast(RunFolder, fabric.broadcast(_open_folder(config, state, stack) if fabric.is_global_zero else None))
    left_out = _LeftOut(console, folder if fabric.is_global_zero else None)
    left_out.tell((*train_set.left_out, *val_set.left_out, *_unreadable(train_loader, val_loader)))
    console.print(
        f"{spec.name}: {_parameters_in_words(detector)}, "
        f"{len(train_set.images)} training and {len(val_set.images)} validation images, run folder {folder.path}"
    )
    if highest_lr(config) != config.lr:
        console.print(
            f"learning rate {config.lr:g} for batches of {config.lr_batch_size}, so {highest_lr(config):g} for "
            f"{config.batch_size}"
        )

    wrapped, wrapped_optimizer = fabric.setup(detector, optimizer)
    steps_per_epoch = len(train_set.images) // config.batch_size
    done_steps = state.epoch * steps_per_epoch + state.step
    with (
        told_faults(folder.path, fabric.world_size),
        Interruption() as interruption,
        TrainProgress(console, config.epochs * steps_per_epoch, done_steps, config.epochs) as progress,
    ):
        run = Run(
            config,
            fabric,
            state,
            wrapped,
            wrapped_optimizer,
            train_loader,
            val_loader,
            val_set,
            folder,
            steps_per_epoch,
            # what is logged at the end of an epoch is logged anew if the state is from just before
            open_log(folder.path / "tensorboard", done_steps + (state.step < steps_per_epoch))
            if fabric.is_global_zero
            else None,
            progress,
            interruption,
        )
        try:
            _train_to_the_end(run)
        except Interrupted as interrupted:
            console.print(str(interrupted))
            raise
        finally:
            if run.log:
                run.log.close()
    left_out.tell(_unreadable(train_loader, val_loader))
    assert state.best is not None, "the last epoch is always evaluated"
    seconds = time.monotonic() - started
    if state.best.has_score:
        console.print(f"best mAP {state.best.AP:.4f} (AP50 {state.best.AP50:.4f}), {seconds:.0f} s")
    else:
        console.print(f"no mAP: nothing to find in the validation set; {folder.best} is the newest, {seconds:.0f} s")
    console.print(f"report: {folder.report}")
    console.print(f"next: mobiledet export {folder.best}")
    return folder.path, dataclasses.asdict(state.best), seconds


def _build(fabric: Fabric, config: TrainConfig, spec: ModelSpec) -> Detector:
    """The network on its device: the averaged weights and the optimiser hold on to its very tensors."""
    detector = detector_from_spec(spec)
    detector.add_training_parts()
    if config.pretrained and not config.init and not config.resume:
        with fabric.rank_zero_first():  # the others find in the cache what the first one fetched
            load_pretrained(detector.backbone, config.backbone, config.pretrained)
    if config.sync_bn:
        if fabric.device.type != "cuda":
            raise UserError(f"--sync-bn: torch has it for GPUs alone, and this is {fabric.device.type}; leave it out")
        detector = nn.SyncBatchNorm.convert_sync_batchnorm(detector)
    if config.freeze_backbone:
        detector.backbone.requires_grad_(False)
    return detector.to(fabric.device).to(memory_format=torch.channels_last)


def _parameters_in_words(detector: Detector) -> str:
    """Those of the network that is exported, and those of what only training has."""
    extra = sum(p.numel() for name, p in detector.named_parameters() if detector.is_training_part(name))
    words = f"{(count_parameters(detector) - extra) / 1e6:.2f} M parameters"
    return f"{words} (and {extra / 1e6:.2f} M in training alone)" if extra else words


def _open_folder(config: TrainConfig, state: TrainState, stack: ExitStack) -> RunFolder:
    if not config.resume:
        return RunFolder.create(config, state.spec.name, stack)
    folder = RunFolder(config.resume)
    folder.rewind(state.epoch)
    folder.write_config(dataclasses.replace(config, resume=None))
    return folder


def _unreadable(*loaders: DetectionLoader) -> list[LeftOut]:
    """The images that the loaders of all processes could not read so far."""
    texts = gather({text: None for loader in loaders for text in loader.bad_images})
    return [LeftOut("images that cannot be read", text) for text in texts]


class _LeftOut:
    """Tells what is left out as bad, each entry once, and keeps the list in the run folder.

    Args:
        console: of the run.
        folder: None in all processes but one.
    """

    def __init__(self, console: Console, folder: RunFolder | None) -> None:
        self._console = console
        self._folder = folder
        self._told: dict[LeftOut, None] = {}

    def tell(self, entries: Sequence[LeftOut]) -> None:
        """Those that are new."""
        new = [entry for entry in dict.fromkeys(entries) if entry not in self._told]
        self._told.update(dict.fromkeys(new))
        if new and self._folder:
            self._folder.write_left_out(tuple(self._told))
            self._console.print(f"left out {len(new)}: {count_by_reason(new)}; listed in {self._folder.left_out}")
            self._console.print(f"  such as {new[0].text}", markup=False)


@dataclass(frozen=True)
class Run:
    """What the parts of a run share.

    Attributes:
        detector, optimizer: as Fabric wraps them.
        steps_per_epoch: steps with a full batch; the images that remain are left out.
        log: None in all processes but one.
    """

    config: TrainConfig
    fabric: Fabric
    state: TrainState
    detector: _FabricModule
    optimizer: torch.optim.Optimizer
    train_loader: DetectionLoader
    val_loader: DetectionLoader
    val_set: DetectionSet
    folder: RunFolder
    steps_per_epoch: int
    log: "SummaryWriter | None"
    progress: TrainProgress
    interruption: Interruption


def _train_to_the_end(run: Run) -> None:
    """All epochs that are left.

    Raises:
        Interrupted: a signal came.
    """
    try:
        while run.state.epoch < run.config.epochs:
            _train_epoch(run)
            _end_epoch(run)
    except RuntimeError as error:
        if not run.interruption.number:
            raise
        # the signal has ended a loader process or another process of the run before this one could save
        raise Interrupted(run.folder.path, run.interruption.number) from error


def _train_epoch(run: Run) -> None:
    """From the state's step to the end of its epoch, with checkpoints on the way.

    Raises:
        Interrupted: a signal came; the state is saved.
    """
    config, fabric, state = run.config, run.fabric, run.state
    lr = learning_rate(config, run.steps_per_epoch)
    watch = LossWatch(lambda index: run.train_loader.dataset.dataset.images[index].path.name)
    saved = time.monotonic()
    run.detector.train()
    state.detector.start_epoch(state.epoch)
    if config.freeze_backbone:
        state.detector.backbone.eval()
    if config.qat:
        freeze_statistics(state.detector)
    run.train_loader.sampler.seek(state.epoch, state.step * config.batch_size // fabric.world_size)
    batches = iter(run.train_loader)
    while state.step < run.steps_per_epoch:
        step = state.epoch * run.steps_per_epoch + state.step
        parts = [next(batches) for _ in range(config.accumulate)]
        seed_step(config.seed, step, fabric.global_rank)
        for group in run.optimizer.param_groups:
            group["lr"] = lr(step)
        losses = train_step(fabric, run.detector, run.optimizer, parts, state.spec, config.clip_norm)
        state.average.update(step)
        state.meter.add(losses, config.batch_size)
        state.step += 1
        watch.add(step, parts, losses)

        is_last = state.step == run.steps_per_epoch
        is_logged = (step + 1) % LOG_EVERY_STEPS == 0 and not is_last
        if is_logged or is_last or fabric.device.type == "cpu":  # what follows makes a GPU wait
            watch.check()
            is_due = time.monotonic() - saved > 60 * config.save_every_minutes
            wish = _strongest(fabric, run.interruption.number or SAVE * (is_due and not is_last))
            if wish:
                state.save(run.folder)
                saved = time.monotonic()
            if wish > SAVE:
                raise Interrupted(run.folder.path, wish)
        if is_logged:
            _log_step(run, step + 1)


def _strongest(fabric: Fabric, wish: int) -> int:
    """The greatest of what the processes wish, so that all do the same: nothing (0), ``SAVE``, or stop by a signal."""
    if fabric.world_size == 1:
        return wish
    return int(cast(torch.Tensor, fabric.all_reduce(torch.tensor(wish, device=fabric.device), reduce_op="max")))


def _end_epoch(run: Run) -> None:
    """Evaluate if it is time to, log and save. A run that is killed in here does all of it again."""
    config, state = run.config, run.state
    is_evaluated = (state.epoch + 1) % config.eval_every == 0 or state.epoch + 1 == config.epochs
    if is_evaluated:
        state.save(run.folder)
    state.average.synchronize()
    step = (state.epoch + 1) * run.steps_per_epoch
    loss = _log_step(run, step)
    state.next_epoch()
    if is_evaluated:
        batches = _until_interrupted(run.val_loader, run)
        validation = validate(state.average.model, state.spec, run.val_set, batches, run.fabric.device, config.scorer)
        metrics = validation.metrics
        is_best = state.take(metrics)
        if run.log:
            run.progress.evaluated(state.epoch, loss, metrics, is_best)
            run.folder.log({"epoch": state.epoch, "loss": loss, **scores(metrics)})
            if is_best:
                state.save_for_use(run.folder.best)
            samples = draw_samples(run.val_set, validation.detections)
            log_evaluation(run.log, validation, step)
            if is_pictured(config, state.epoch):
                log_samples(run.log, samples, step)
            write_report(run.folder, config, state.spec, validation, samples)
    state.save(run.folder)


def _until_interrupted(batches: Iterable[Batch], run: Run) -> Iterator[Batch]:
    """The batches; raises Interrupted between two of them when a signal has come."""
    for batch in batches:
        if run.interruption.number:
            raise Interrupted(run.folder.path, run.interruption.number)
        yield batch


def _log_step(run: Run, step: int) -> float:
    """Log and show the means of the epoch so far; returns that of the whole loss."""
    means = run.state.meter.means(run.fabric)
    loss, speed = sum(means.values()), run.state.meter.images_per_s
    if run.log:
        for name, value in means.items():
            run.log.add_scalar(f"loss/{name}", value, step)
        lr = run.optimizer.param_groups[0]["lr"]
        run.log.add_scalar("train/lr", lr, step)
        run.log.add_scalar("train/images_per_s", speed, step)
        point = CurvePoint(step, step / run.steps_per_epoch, run.state.step, lr, speed, means)
        append_point(run.folder.curves, point)
        run.progress.step(step, run.state.epoch + 1, loss, speed)
    return loss
