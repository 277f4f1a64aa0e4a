"""The channel shuffle: what grouped convolutions in a row see without and with it."""

from pathlib import Path

from canvas import COLOURS, INK, Canvas

GROUPS, EACH = 3, 3
CHANNELS = GROUPS * EACH
STEP = 30
ROW = 62


def draw(folder: Path) -> None:
    """Write channel_shuffle.svg."""
    canvas = Canvas(760, 330, "Grouped convolutions without and with a channel shuffle between them")
    for left, shuffled in ((50, False), (430, True)):
        places = [float(left + STEP * index) for index in range(CHANNELS)]
        middle = (places[0] + places[-1]) / 2
        canvas.text(middle, 26, "with the shuffle" if shuffled else "without", 14, bold=True)
        bottom = 280.0
        groups = [index // EACH for index in range(CHANNELS)]  # which group's inputs a channel has seen
        _convolution(canvas, places, bottom, [COLOURS[group] for group in groups])
        _dots(canvas, places, bottom, [COLOURS[group] for group in groups])
        upper = bottom - ROW
        _dots(canvas, places, upper, [COLOURS[group] for group in groups])
        order = list(range(CHANNELS))
        if shuffled:
            order = [group * EACH + number for number in range(EACH) for group in range(GROUPS)]
        for target, source in enumerate(order):
            canvas.line(places[source], upper, places[target], upper - ROW, COLOURS[groups[source]])
        moved = [COLOURS[groups[source]] for source in order]
        _convolution(canvas, places, upper - ROW, moved)
        _dots(canvas, places, upper - ROW, moved)
        last = [INK] * CHANNELS if shuffled else moved
        _dots(canvas, places, upper - 2 * ROW, last)
        canvas.text(middle, 308, f"{CHANNELS} channels in {GROUPS} groups", 12)
        canvas.text(
            middle, 46, "every output has seen every group" if shuffled else "a group never sees the others", 12
        )
    for y, words in ((252, "grouped"), (190, "shuffle"), (128, "grouped")):
        canvas.text(375, y, words, 12)
    canvas.write(folder / "channel_shuffle.svg")


def _convolution(canvas: Canvas, places: list[float], bottom: float, colours: list[str]) -> None:
    for output in range(CHANNELS):
        for source in range(CHANNELS):
            if output // EACH == source // EACH:
                canvas.line(places[source], bottom, places[output], bottom - ROW, colours[source], 0.8)


def _dots(canvas: Canvas, places: list[float], y: float, colours: list[str]) -> None:
    for x, colour in zip(places, colours, strict=True):
        canvas.dot(x, y, colour)
