"""The progress display of a training run: loss, images per second, remaining time, and a line per evaluation."""

import math
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mobiledet.metrics.coco import CocoMetrics
from mobiledet.training.curves import CurvePoint
from mobiledet.training.loggers import Evaluation


class TrainProgress:
    """A progress bar over all steps of the run. It is a ``RunLogger``, and a context manager that shows the bar.

    Args:
        console: where to draw.
        total_steps: number of steps of the whole run.
        done_steps: number of steps done before the run was resumed.
        epochs: number of epochs of the whole run.
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

    def log_point(self, point: CurvePoint) -> None:
        """Move the bar, and show loss and speed."""
        epoch, loss = math.ceil(point.epoch), sum(point.losses.values())
        self._progress.update(self._task, completed=point.step, epoch=epoch, loss=loss, speed=point.images_per_s)

    def log_evaluation(self, evaluation: Evaluation) -> None:
        """Print a line with the metrics."""
        self._console.print(
            f"{time.strftime('%H:%M:%S')} epoch {evaluation.epoch}/{self._epochs}: loss {evaluation.loss:.3f}, "
            f"{_scores(evaluation.validation.metrics, evaluation.is_best)}",
            highlight=False,
        )

    def close(self, is_done: bool) -> None:
        """Do nothing: leaving the context stops the bar."""


def _scores(metrics: CocoMetrics, is_best: bool) -> str:
    if not metrics.has_score:
        return "no mAP, because there are no objects"
    best = " (best)" if is_best else ""
    return f"mAP {metrics.AP:.4f}, AP50 {metrics.AP50:.4f}, AP75 {metrics.AP75:.4f}{best}"
