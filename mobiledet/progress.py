"""What long work shows on a terminal: a bar that counts, or the current step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    """Images, or frames, per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f} a second")


def counting_bar(quiet: bool = False, console: Console | None = None) -> Progress:
    """A bar with count, rate and remaining time.

    Args:
        quiet: show nothing.
        console: where to show it; by default standard error.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console or Console(stderr=True, quiet=quiet), transient=console is not None)


def step_lines(console: Console) -> Progress:
    """A line for each task with its current step and the time since its start; the lines are removed at the end."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


@contextmanager
def shown_steps(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows its argument as the current step; the line is removed at the end."""
    with step_lines(console) as progress:
        task = progress.add_task("starting")
        yield lambda step: progress.update(task, description=step)
