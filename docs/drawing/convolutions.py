"""The kinds of convolution: which channels, and which pixels, each output sees."""

from collections.abc import Callable
from pathlib import Path

from canvas import COLOURS, FAINT, INK, Canvas

CHANNELS, PIXELS, GROUPS = 6, 7, 3
STEP, PANEL = 24, 205  # pixels between dots, and between panels

Sees = Callable[[int, int], bool]  # whether an output sees an input


def _all(output: int, source: int) -> bool:
    return True


def _itself(output: int, source: int) -> bool:
    return output == source


def _neighbours(output: int, source: int) -> bool:
    return abs(output - source) <= 1


def _own_group(output: int, source: int) -> bool:
    return _group(output) == _group(source)


def _group(channel: int) -> int:
    return channel * GROUPS // CHANNELS


# name, multiply-adds, channels, pixels, colours of the channels
KINDS: tuple[tuple[str, str, Sees, Sees, list[str]], ...] = (
    ("full, 3 × 3", "h·w · c₁·c₂ · 9", _all, _neighbours, [COLOURS[0]] * CHANNELS),
    (
        f"grouped, 3 × 3, g = {GROUPS}",
        "h·w · c₁·c₂ · 9 / g",
        _own_group,
        _neighbours,
        [COLOURS[_group(channel)] for channel in range(CHANNELS)],
    ),
    ("depthwise, 3 × 3", "h·w · c · 9", _itself, _neighbours, [COLOURS[0]] * CHANNELS),
    ("pointwise, 1 × 1", "h·w · c₁·c₂", _all, _itself, [COLOURS[0]] * CHANNELS),
)


def draw(folder: Path) -> None:
    """Write convolutions.svg."""
    canvas = Canvas(4 * PANEL + 20, 350, "Which channels and which pixels an output of a convolution sees")
    for number, (name, cost, channels, pixels, colours) in enumerate(KINDS):
        middle = 10 + PANEL * (number + 0.5)
        canvas.text(middle, 24, name, 14, bold=True)
        _connections(canvas, middle, 60, channels, colours, colours)
        canvas.text(middle, 156, "channels, the input below", 11)
        _connections(canvas, middle, 190, pixels, [INK] * PIXELS, [FAINT] * PIXELS)
        canvas.text(middle, 286, "pixels of a row, the input below", 11)
        canvas.text(middle, 316, "multiply-adds", 11)
        canvas.text(middle, 336, cost, 14)
    canvas.write(folder / "convolutions.svg")


def _connections(canvas: Canvas, middle: float, top: float, sees: Sees, dots: list[str], lines: list[str]) -> None:
    bottom = top + 70
    places = [middle + STEP * (index - (len(dots) - 1) / 2) for index in range(len(dots))]
    for output, x in enumerate(places):
        for source, below in enumerate(places):
            if sees(output, source):
                canvas.line(below, bottom, x, top, lines[source], 1)
    for x, colour in zip(places, dots, strict=True):
        canvas.dot(x, bottom, colour)
        canvas.dot(x, top, colour)
