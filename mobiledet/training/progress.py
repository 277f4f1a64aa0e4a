"""The progress display of a training run: a bar on a terminal, a line per minute elsewhere, and a line per
evaluation."""

import math
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mobiledet.metrics.coco import CocoMetrics
from mobiledet.training.curves import CurvePoint
from mobiledet.training.loggers import Evaluation
from mobiledet.training.meter import Meter

LINE_EVERY_S = 60.0
FIRST_LINE_S = 10.0  # time of the first line after the start


class Pace:
    """Estimates the remaining time from the mean duration of the steps so far, including evaluations.

    Args:
        total_steps: number of steps of the whole run.
        done_steps: number of steps done before the run was resumed.
        clock: returns the time in seconds.
    """

    def __init__(self, total_steps: int, done_steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total_steps = total_steps
        self._first = done_steps
        self._clock = clock
        self._started = clock()

    def left_s(self, done_steps: int) -> float | None:
        """Seconds to the end of the run; None before the first step."""
        if done_steps <= self._first:
            return None
        return (self._clock() - self._started) / (done_steps - self._first) * (self.total_steps - done_steps)


class TrainProgress:
    """A progress bar over all steps of the run, or lines if there is no terminal. It is a ``RunLogger``, and a context
    manager that shows the bar.

    Args:
        console: where to draw.
        pace: estimates the remaining time of the run.
        steps_per_epoch: number of steps per epoch.
        done_steps: number of steps done before the run was resumed.
        epochs: number of epochs of the whole run.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        console: Console,
        pace: Pace,
        steps_per_epoch: int,
        done_steps: int,
        epochs: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._pace = pace
        self._steps_per_epoch = steps_per_epoch
        self._epochs = epochs
        self._clock = clock
        can_draw = (console.is_terminal and not console.is_dumb_terminal) or console.is_jupyter
        self._has_lines = not can_draw and not console.quiet
        self._asked = clock()
        self._next_line = self._asked + FIRST_LINE_S
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[speed]:.0f} images/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            disable=self._has_lines,
        )
        self._task = self._progress.add_task(
            "train", total=pace.total_steps, completed=done_steps, epoch=0, epochs=epochs, loss=0.0, speed=0.0
        )

    def __enter__(self) -> "TrainProgress":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def log_step(self, epoch: int, step: int, meter: Meter) -> None:
        """Print a line if one is due.

        Args:
            epoch: the current epoch, counted from 0.
            step: number of steps done in it.
            meter: losses and speed of that epoch.
        """
        if self._is_due():
            facts = [f"loss {meter.own_loss():.3f}", f"{meter.images_per_s:.1f} images/s"]
            facts += self._left(epoch * self._steps_per_epoch + step)
            self._line(f"epoch {epoch + 1}/{self._epochs}, step {step}/{self._steps_per_epoch}: {', '.join(facts)}")

    def log_evaluation_progress(self, epoch: int, images: int, of_images: int) -> None:
        """Print a line if one is due: how many images of the evaluation after ``epoch`` this process has done."""
        if self._is_due():
            self._line(f"epoch {epoch}/{self._epochs}, evaluation: {images} of {of_images} images")

    def log_point(self, point: CurvePoint) -> None:
        """Move the bar, and show loss and speed."""
        epoch, loss = math.ceil(point.epoch), sum(point.losses.values())
        self._progress.update(self._task, completed=point.step, epoch=epoch, loss=loss, speed=point.images_per_s)

    def log_evaluation(self, evaluation: Evaluation) -> None:
        """Print a line with the metrics."""
        facts = [f"loss {evaluation.loss:.3f}", _scores(evaluation.validation.metrics, evaluation.is_best)]
        if self._has_lines and evaluation.epoch < self._epochs:
            facts += self._left(evaluation.step)
        self._line(f"epoch {evaluation.epoch}/{self._epochs}: {', '.join(facts)}")

    def close(self, is_done: bool) -> None:
        """Do nothing: leaving the context stops the bar."""

    def _is_due(self) -> bool:
        """Whether a line would be late if it were printed only at the next call."""
        if not self._has_lines:
            return False
        now = self._clock()
        gap, self._asked = now - self._asked, now
        return now + gap > self._next_line

    def _line(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", highlight=False, markup=False)
        self._next_line = self._clock() + LINE_EVERY_S

    def _left(self, done_steps: int) -> list[str]:
        left = self._pace.left_s(done_steps)
        return [] if left is None else [f"about {duration_text(left)} left"]


def duration_text(seconds: float) -> str:
    """A duration as text, such as ``40 s``, ``12 min``, ``3 h 05 min`` or ``2 days 4 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} days {hours % 24} h"


def _scores(metrics: CocoMetrics, is_best: bool) -> str:
    if not metrics.has_score:
        return "no mAP, because there are no objects"
    best = " (best)" if is_best else ""
    return f"mAP {metrics.AP:.4f}, AP50 {metrics.AP50:.4f}, AP75 {metrics.AP75:.4f}{best}"
