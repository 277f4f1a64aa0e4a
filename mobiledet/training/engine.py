"""The training loop, from top to bottom; ``prepare`` does everything before the first step."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers import Logger
from rich.console import Console

from mobiledet.data.loader import Batch
from mobiledet.metrics.coco import CocoMetrics
from mobiledet.training.batch_size import choose_batch_size
from mobiledet.training.config import TrainConfig
from mobiledet.training.curves import CurvePoint
from mobiledet.training.devices import choose_devices
from mobiledet.training.faults import faults_as_user_errors, memory_errors_as_user_errors
from mobiledet.training.finetune import with_start_checkpoint
from mobiledet.training.interruption import Interrupted
from mobiledet.training.launch import adopt_environment, launch, make_fabric
from mobiledet.training.loggers import Evaluation
from mobiledet.training.meter import LossWatch
from mobiledet.training.mistakes import find_mistakes
from mobiledet.training.network_options import HELP, options_text
from mobiledet.training.optimization import learning_rate
from mobiledet.training.patience import ending_text, is_ended_early
from mobiledet.training.prepare import Run, prepare
from mobiledet.training.qat import freeze_statistics
from mobiledet.training.recipe_networks import recipe_json
from mobiledet.training.recipes import LIST, recipe_list
from mobiledet.training.resume import resumed_config
from mobiledet.training.run_folder import RunFolder
from mobiledet.training.samples import draw_samples
from mobiledet.training.setup import check_settings, check_shares
from mobiledet.training.step import seed_step, train_step
from mobiledet.training.validation import validate

LOG_EVERY_STEPS = 20
SAVE = 1  # an action of ``_agreed_action``; the others are the numbers of the signals that stop a run, all above 1


@dataclass(frozen=True)
class TrainResult:
    """Result of a training run.

    Attributes:
        folder: the run folder.
        best: the checkpoint with the highest validation mAP.
        metrics: validation metrics of that checkpoint.
        seconds: duration of the run, including reading the data and evaluations.
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


def train(config: TrainConfig, quiet: bool = True, loggers: Sequence[Logger] = ()) -> TrainResult:
    """Train a detector; returns when the last epoch is evaluated and saved.

    With several devices, one process is started for each, unless torchrun or SLURM has already started them.

    Args:
        config: the settings.
        quiet: show no progress.
        loggers: Lightning loggers, such as ``MLFlowLogger`` and ``WandbLogger`` of ``pytorch_lightning.loggers``; they
            receive the same values as TensorBoard.

    Raises:
        UserError: a setting is wrong, data are bad, memory has run out, or the loss is no longer finite.
        Interrupted: SIGINT or SIGTERM stopped the run, which can be resumed.
    """
    config = resumed_config(config) if config.resume else with_start_checkpoint(config)
    config = adopt_environment(config)
    check_settings(config)
    config, batch_note = choose_batch_size(config)
    config, device_note = choose_devices(config)
    check_shares(config)
    notes = [note for note in (batch_note, device_note) if note]
    # a partial, and metrics as a plain dict: Lightning's launcher cannot pass frozen dataclasses between processes
    work = partial(_train, config=config, quiet=quiet, loggers=loggers, notes=notes)
    folder, metrics, seconds = launch(make_fabric(config), work, config.resume or config.out)
    return TrainResult(folder, RunFolder(folder).best, CocoMetrics(**metrics), seconds)


def _train(
    fabric: Fabric, config: TrainConfig, quiet: bool, loggers: Sequence[Logger], notes: Sequence[str]
) -> tuple[Path, dict[str, Any], float]:
    """The training run in one process; returns the run folder, the best metrics and the duration in seconds."""
    started = time.monotonic()
    console = Console(quiet=quiet or not fabric.is_global_zero, highlight=False, soft_wrap=True)
    for note in notes:
        console.print(note)
    with memory_errors_as_user_errors(config), ExitStack() as stack:
        run = prepare(config, fabric, console, stack, loggers)
        try:
            with faults_as_user_errors(run.folder.path, fabric.world_size), run.interruption, run.progress:
                _train_to_the_end(run)
        except Interrupted as interrupted:
            console.print(str(interrupted))
            raise
        run.left_out.report(run.unreadable())
    if is_ended_early(config, run.state):
        console.print(ending_text(config, run.state, run.time_left_s()))
    best, seconds = run.state.best, time.monotonic() - started
    assert best is not None, "the last epoch is always evaluated"
    if best.has_score:
        console.print(f"best mAP {best.AP:.4f} (AP50 {best.AP50:.4f}), {seconds:.0f} s")
    else:
        newest = run.folder.best
        console.print(f"no mAP: the validation set has no objects; {newest} has the newest weights, {seconds:.0f} s")
    console.print(f"report: {run.folder.report}")
    console.print(f"next: mobiledet export {run.folder.best}")
    return run.folder.path, dataclasses.asdict(best), seconds


def _train_to_the_end(run: Run) -> None:
    """Train all remaining epochs, or until ``--patience`` ends the run.

    Raises:
        Interrupted: SIGINT or SIGTERM arrived.
    """
    is_done = False
    try:
        while run.state.epoch < run.config.epochs and not is_ended_early(run.config, run.state):
            _train_epoch(run)
            _end_epoch(run)
        is_done = True
    except RuntimeError as error:
        if not run.interruption.number:
            raise
        # the signal ended a loader process or another training process before this one could save
        raise Interrupted(run.folder.path, run.interruption.number) from error
    finally:
        for logger in run.loggers:
            logger.close(is_done)


def _train_epoch(run: Run) -> None:
    """Train from the current step to the end of the epoch, saving checkpoints in between.

    Raises:
        Interrupted: SIGINT or SIGTERM arrived; the state is saved.
    """
    config, fabric, state = run.config, run.fabric, run.state
    lr = learning_rate(config, run.steps_per_epoch)
    watch = LossWatch(lambda index: run.train_loader.dataset.dataset.images[index].path.name, run.learning.read)
    saved = time.monotonic()
    run.detector.train()
    state.detector.start_epoch(state.epoch)
    if config.freeze_backbone:
        state.detector.backbone.eval()
    if config.qat:
        freeze_statistics(state.detector)
    run.train_loader.sampler.seek(state.epoch, state.step * config.batch_images // fabric.world_size)
    batches = iter(run.train_loader)
    while state.step < run.steps_per_epoch:
        step = state.epoch * run.steps_per_epoch + state.step
        parts = [next(batches) for _ in range(config.accumulate)]
        seed_step(config.seed, step, fabric.global_rank)
        for group in run.optimizer.param_groups:
            group["lr"] = lr(step)
        losses = train_step(fabric, run.detector, run.optimizer, parts, state.spec, config.clip_norm)
        state.average.update(step)
        state.meter.add(losses, config.batch_images)
        state.step += 1
        watch.add(step, parts, losses)
        run.progress.log_step(state.epoch, state.step, state.meter)

        is_last = state.step == run.steps_per_epoch
        is_logged = (step + 1) % LOG_EVERY_STEPS == 0 and not is_last
        # the checks synchronise with a GPU, so they are not made at every step there
        if is_logged or is_last or fabric.device.type == "cpu":
            watch.check()
            is_due = time.monotonic() - saved > 60 * config.save_every_minutes
            action = _agreed_action(fabric, run.interruption.number or SAVE * (is_due and not is_last))
            if action:
                state.save(run.folder)
                saved = time.monotonic()
            if action > SAVE:
                raise Interrupted(run.folder.path, action)
        if is_logged:
            _log_step(run, step + 1)


def _agreed_action(fabric: Fabric, action: int) -> int:
    """The greatest action that any process requests, so that all processes do the same: 0 for none, ``SAVE``, or the
    number of the signal that stops the run."""
    if fabric.world_size == 1:
        return action
    return int(cast(torch.Tensor, fabric.all_reduce(torch.tensor(action, device=fabric.device), reduce_op="max")))


def _end_epoch(run: Run) -> None:
    """Evaluate if an evaluation is due, log and save. A run that is killed here repeats all of it when resumed."""
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
        is_best = state.update_best(validation.metrics)
        if run.loggers:
            samples = draw_samples(run.val_set, validation.detections)
            mistakes = find_mistakes(run.val_set, validation.detections)
            ending = ending_text(config, state, run.time_left_s()) if is_ended_early(config, state) else ""
            for logger in run.loggers:
                logger.log_evaluation(
                    Evaluation(state.epoch, step, loss, validation, samples, mistakes, is_best, ending)
                )
            if is_best:
                state.save_for_use(run.folder.best)
    state.save(run.folder)


def _until_interrupted(batches: Iterable[Batch], run: Run) -> Iterator[Batch]:
    """Yield the batches; raises Interrupted between two batches after SIGINT or SIGTERM."""
    done = 0
    for batch in batches:
        run.progress.log_evaluation_progress(run.state.epoch, done, len(run.val_loader.sampler))
        done += len(batch)
        if run.interruption.number:
            raise Interrupted(run.folder.path, run.interruption.number)
        yield batch


def _log_step(run: Run, step: int) -> float:
    """Log the mean losses of the epoch so far; returns the mean of their sum."""
    means = run.state.meter.means(run.fabric)
    lr, speed = run.optimizer.param_groups[0]["lr"], run.state.meter.images_per_s
    for logger in run.loggers:
        logger.log_point(CurvePoint(step, step / run.steps_per_epoch, run.state.step, lr, speed, means))
    return sum(means.values())
