"""The comparison of two versions as a table on the terminal, and as Markdown for a pull request."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.drawing.figures import NOT_MEASURED, milliseconds, precision, size
from mobiledet.drawing.markdown import plain, table
from mobiledet.versions.difference import Change, ClassChange
from mobiledet.versions.outcome import Outcome
from mobiledet.versions.version import Version

SHOWN_CLASSES = 10  # on the terminal
HEADINGS = ("", "old", "new", "change", "95 % interval")
CLASSES_NOTE = "for about one in twenty classes that do not differ, the interval excludes zero by chance"


class Row(NamedTuple):
    """A line of a table."""

    name: str
    old: str
    new: str
    change: str
    interval: str = NOT_MEASURED


def rows(outcome: Outcome) -> Iterator[Row]:
    """The rows for mAP, AP50, latency, file size and errors."""
    yield change_row("mAP", outcome.scores.map)
    yield change_row("AP50", outcome.scores.ap50)
    if outcome.latency:
        ratio = outcome.latency
        times = milliseconds(ratio.old_ms), milliseconds(ratio.new_ms)
        yield Row("latency p50, ms", *times, f"× {ratio.ratio:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}")
    before, after = outcome.old_errors, outcome.new_errors
    old, new = outcome.old.result, outcome.new.result
    if old and new:
        share = f"× {new.file.bytes / old.file.bytes:.3f}" if old.file.bytes else NOT_MEASURED
        yield Row("file", size(old.file.bytes), size(new.file.bytes), share)
    yield Row("images right", str(int(before.right.sum())), str(int(after.right.sum())), turned(outcome))
    for name, was, now in (
        ("objects missed", int(before.missed.sum()), int(after.missed.sum())),
        ("wrong detections", int(before.wrong.sum()), int(after.wrong.sum())),
    ):
        yield Row(name, str(was), str(now), signed(now - was, 0))


def change_row(name: str, change: Change) -> Row:
    """The row for a metric of both versions."""
    interval = NOT_MEASURED
    if change.low is not None and change.high is not None:
        interval = f"{signed(change.low)} to {signed(change.high)}"
    return Row(name, precision(change.old), precision(change.new), signed(change.difference), interval)


def classes_by_change(outcome: Outcome) -> list[ClassChange]:
    """The classes, sorted by the change in AP, the largest loss first."""
    return sorted(outcome.scores.classes, key=lambda entry: entry.ap.difference)


def verdict(outcome: Outcome) -> str:
    """The verdict of the comparison as a short text."""
    if outcome.worse:
        return f"worse: {'; '.join(outcome.worse)}"
    change = outcome.scores.map
    if not outcome.scores.is_clear:
        return "no significant difference in mAP"
    return "a significantly higher mAP" if change.difference > 0 else "a significantly lower mAP"


def signed(value: float, decimals: int = 4) -> str:
    """A number with its sign, with a typographic minus."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def described(version: Version) -> str:
    """Name and path of a version."""
    return f"{version.name} ({version.path})"


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print the outcome as a table."""
    for name, version in (("old", outcome.old), ("new", outcome.new)):
        console.print(f"[bold]{name}[/bold]  {escape(described(version))}", highlight=False)
    console.print(f"[bold]on[/bold]   {escape(outcome.dataset.name)}, {outcome.scores.images} images", highlight=False)
    drawn = Table(box=None, padding=(0, 2, 0, 0))
    for heading in HEADINGS:
        drawn.add_column(heading, justify="left" if not heading else "right")
    classes = classes_by_change(outcome)
    middle = SHOWN_CLASSES // 2
    shown = classes if len(classes) <= SHOWN_CLASSES else [*classes[:middle], *classes[-middle:]]
    lines = [*rows(outcome), *(change_row(entry.label, entry.ap) for entry in shown)]
    for line in lines:
        drawn.add_row(*map(escape, line))
    console.print(drawn)
    if len(shown) < len(classes):
        console.print(f"{len(classes) - len(shown)} classes in between are left out", highlight=False)
    if outcome.no_latency:
        console.print(escape(f"latency: {outcome.no_latency}"), highlight=False)
    for note in outcome.notes:
        console.print(escape(f"note: {note}"), highlight=False, style="dim")
    console.print(escape(verdict(outcome)), style="bold red" if outcome.worse else "bold", highlight=False)


def markdown(outcome: Outcome) -> str:
    """The outcome as a section of Markdown."""
    parts = [
        f"### {plain(verdict(outcome))}\n\n",
        f"old: {plain(described(outcome.old))}  \nnew: {plain(described(outcome.new))}  \n",
        f"on {plain(outcome.dataset.name)}, {outcome.scores.images} images\n\n",
        table(HEADINGS, rows(outcome)),
    ]
    if outcome.no_latency:
        parts.append(f"\nLatency: {plain(outcome.no_latency)}.\n")
    classes = table(
        ("class", *HEADINGS[1:], "objects"),
        ((*change_row(entry.label, entry.ap), str(entry.objects)) for entry in classes_by_change(outcome)),
    )
    parts.append(f"\n<details><summary>AP of each class</summary>\n\n{classes}\n{CLASSES_NOTE}\n\n</details>\n")
    parts += [f"\n- {plain(note)}" for note in outcome.notes]
    return "".join(parts).rstrip() + "\n"


def turned(outcome: Outcome) -> str:
    """The numbers of images that turned right and wrong, as text."""
    return f"+{len(outcome.turned_right)} −{len(outcome.turned_wrong)}"
