"""The blocks of the papers as rows of maps: widths of the drawn maps are numbers of channels."""

from pathlib import Path

from canvas import COLOURS, FAINT, INK, Canvas

BLUE, ORANGE, GREEN, _ = COLOURS
GREY = "#c9ced6"


def draw(folder: Path) -> None:
    """Write the drawings of blocks."""
    _depthwise_separable(folder / "depthwise_separable.svg")
    _inverted_residual(folder / "inverted_residual.svg")
    _shufflenet_v1(folder / "shufflenet_v1_units.svg")
    _shufflenet_v2(folder / "shufflenet_v2_units.svg")
    _ghost_module(folder / "ghost_module.svg")


def _map(canvas: Canvas, middle: float, y: float, channels: float, scale: float, label: str, fill: str = GREY) -> None:
    width = channels * scale
    canvas.rectangle(middle - width / 2, y, width, 16, fill, FAINT, 2)
    canvas.text(middle, y + 12.5, label, 11)


def _depthwise_separable(path: Path) -> None:
    canvas = Canvas(640, 190, "A full convolution and its depthwise separable form")
    for middle, title, rows in (
        (160, "full convolution", ((120, "64 channels"), "3 × 3, all channels: 73 728 weights", (200, "128 channels"))),
        (
            480,
            "depthwise separable",
            (
                (120, "64 channels"),
                "3 × 3 of each channel: 576 weights",
                (120, "64 channels"),
                "1 × 1, all channels: 8 192 weights",
                (200, "128 channels"),
            ),
        ),
    ):
        canvas.text(middle, 24, title, 14, bold=True)
        y = 160.0
        step = 112 / (len(rows) - 1)
        for row in rows:
            if isinstance(row, str):
                canvas.text(middle, y + 12, row, 11)
            else:
                _map(canvas, middle, y, row[0], 1, row[1])
            y -= step
    canvas.write(path)


def _inverted_residual(path: Path) -> None:
    canvas = Canvas(700, 300, "The residual bottleneck and the inverted residual")
    columns = (
        (170, "bottleneck (ResNet)", 1.1, ((256, "1 × 1"), (64, "3 × 3"), (64, "1 × 1"), (256, "")), "ReLU at the end"),
        (
            530,
            "inverted residual (MobileNetV2)",
            1.8,
            ((24, "1 × 1, expansion t = 6"), (144, "3 × 3 depthwise"), (144, "1 × 1, linear"), (24, "")),
            "no activation at the end",
        ),
    )
    for middle, title, scale, rows, words in columns:
        canvas.text(middle, 24, title, 14, bold=True)
        y = 240.0
        for channels, operation in rows:
            _map(canvas, middle, y, channels, scale, str(channels), BLUE if channels in (24, 256) else GREY)
            if operation:
                canvas.arrow(middle, y - 2, middle, y - 38)
                canvas.text(middle + 10, y - 16, operation, 11, "start")
            y -= 56
        x = middle - 155
        canvas.line(middle - rows[0][0] * scale / 2 - 2, 248, x, 248)
        canvas.line(x, 248, x, 80)
        canvas.arrow(x, 80, middle - rows[0][0] * scale / 2 - 4, 80)
        canvas.text(middle, 62, f"sum; {words}", 11)
        canvas.text(middle, 282, "width of a bar: channels", 11)
    canvas.write(path)


def _units(path: Path, title: str, columns: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str], ...]) -> None:
    """Two branches side by side, to be read from top to bottom."""
    canvas = Canvas(340 * len(columns) + 20, 350, title)
    for number, (name, left, right, end) in enumerate(columns):
        middle = 180 + 340 * number
        canvas.text(middle, 22, name, 14, bold=True)
        canvas.box(middle - 60, 36, 120, 26, "input")
        for side, boxes in ((-84, left), (84, right)):
            x = middle + side
            canvas.line(middle, 62, middle, 70)
            canvas.line(middle, 70, x, 70)
            y = 70.0
            gap = (250 - 70 - 34 * len(boxes)) / (len(boxes) + 1)
            for words in boxes:
                canvas.arrow(x, y, x, y + gap)
                canvas.box(x - 72, y + gap, 144, 34, words)
                y += gap + 34
            canvas.line(x, y, x, 262)
            canvas.line(x, 262, middle, 262)
        canvas.arrow(middle, 262, middle, 282)
        canvas.box(middle - 120, 282, 240, 44, end)
    canvas.write(path)


def _shufflenet_v1(path: Path) -> None:
    branch = ("1 × 1 grouped", "shuffle", "3 × 3 depthwise", "1 × 1 grouped")
    halved = ("1 × 1 grouped", "shuffle", "3 × 3 depthwise,\nstride 2", "1 × 1 grouped")
    _units(
        path,
        "The units of ShuffleNetV1",
        (
            ("residual unit", (), branch, "sum, ReLU"),
            ("downsampling unit", ("3 × 3 average pool,\nstride 2",), halved, "concatenation"),
        ),
    )


def _shufflenet_v2(path: Path) -> None:
    _units(
        path,
        "The units of ShuffleNetV2",
        (
            (
                "basic unit",
                ("half of the channels,\nuntouched",),
                ("1 × 1", "3 × 3 depthwise", "1 × 1"),
                "concatenation,\nshuffle in 2 groups",
            ),
            (
                "downsampling unit",
                ("3 × 3 depthwise,\nstride 2", "1 × 1"),
                ("1 × 1", "3 × 3 depthwise,\nstride 2", "1 × 1"),
                "concatenation,\nshuffle in 2 groups",
            ),
        ),
    )


def _ghost_module(path: Path) -> None:
    canvas = Canvas(700, 230, "The Ghost module: half of the maps are made from the other half")
    _stack(canvas, 40, 60, 8, GREY, "input")
    canvas.arrow(120, 104, 240, 104)
    canvas.text(180, 96, "convolution", 12)
    canvas.text(180, 122, "n / s maps", 11)
    _stack(canvas, 250, 90, 4, BLUE, "intrinsic maps")
    canvas.arrow(315, 96, 460, 96)
    canvas.text(390, 88, "as they are", 11)
    canvas.arrow(315, 138, 460, 138)
    canvas.text(390, 130, "cheap operation:", 11)
    canvas.text(390, 155, "depthwise d × d", 11)
    _stack(canvas, 470, 50, 4, BLUE, "")
    _stack(canvas, 470, 122, 4, ORANGE, "")
    canvas.text(510, 214, "output: n maps", 12)
    canvas.text(620, 90, "intrinsic", 12)
    canvas.text(620, 160, "ghosts", 12)
    canvas.write(path)


def _stack(canvas: Canvas, x: float, y: float, count: int, fill: str, words: str) -> None:
    for index in range(count):
        canvas.rectangle(x + 6 * index, y + 5 * index, 34, 34, fill, INK)
    if words:
        canvas.text(x + 30, y + 5 * count + 58, words, 12)
