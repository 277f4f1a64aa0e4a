"""The progress display of a training run: loss, images a second, time to go, and one line for each evaluation."""

import math
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mobiledet.metrics.coco import CocoMetrics
from mobiledet.training.curves import CurvePoint
from mobiledet.training.loggers import Evaluation


class TrainProgress:
    """A bar over all steps of the run, a ``RunLogger``; use as a context manager.

    Args:
        console: where to draw.
        total_steps: of the whole run.
        done_steps: of an earlier part that is resumed.
        epochs: of the whole run.
    """

    def __init__(self, console: Console, total_steps: int, done_steps: int, epochs: int) -> None:
        self._console = console
        self._epochs = epochs
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[speed]:.0f} images/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
        )
        self._task = self._progress.add_task(
            "train", total=total_steps, completed=done_steps, epoch=0, epochs=epochs, loss=0.0, speed=0.0
        )

    def __enter__(self) -> "TrainProgress":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def note(self, point: CurvePoint) -> None:
        """Show the state after these steps."""
        epoch, loss = math.ceil(point.epoch), sum(point.losses.values())
        self._progress.update(self._task, completed=point.step, epoch=epoch, loss=loss, speed=point.images_per_s)

    def evaluated(self, evaluation: Evaluation) -> None:
        """Print a line with the result."""
        self._console.print(
            f"{time.strftime('%H:%M:%S')} epoch {evaluation.epoch}/{self._epochs}: loss {evaluation.loss:.3f}, "
            f"{_scores(evaluation.validation.metrics, evaluation.is_best)}",
            highlight=False,
        )

    def close(self, is_done: bool) -> None:
        """The context's end stops the bar."""


def _scores(metrics: CocoMetrics, is_best: bool) -> str:
    if not metrics.has_score:
        return "no mAP, for want of boxes"
    best = " (best)" if is_best else ""
    return f"mAP {metrics.AP:.4f}, AP50 {metrics.AP50:.4f}, AP75 {metrics.AP75:.4f}{best}"
