"""The progress display of a training run: loss, images a second, time to go, and one line for each evaluation."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mobiledet.metrics.coco import CocoMetrics


class TrainProgress:
    """A bar over all steps of the run; use as a context manager.

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

    def step(self, step: int, epoch: int, loss: float, images_per_s: float) -> None:
        """Show the state after ``step`` steps."""
        self._progress.update(self._task, completed=step, epoch=epoch, loss=loss, speed=images_per_s)

    def evaluated(self, epoch: int, loss: float, metrics: CocoMetrics, is_best: bool) -> None:
        """Print the result of an evaluation."""
        self._console.print(
            f"{time.strftime('%H:%M:%S')} epoch {epoch}/{self._epochs}: loss {loss:.3f}, {_scores(metrics, is_best)}",
            highlight=False,
        )


def _scores(metrics: CocoMetrics, is_best: bool) -> str:
    if not metrics.has_score:
        return "no mAP, for want of boxes"
    best = " (best)" if is_best else ""
    return f"mAP {metrics.AP:.4f}, AP50 {metrics.AP50:.4f}, AP75 {metrics.AP75:.4f}{best}"
