"""Fast downsampling: the stride of each layer of MobileNetV1 and FD-MobileNet, out of the tables of the networks."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from canvas import COLOURS, FAINT, Canvas

BACKBONES = Path(__file__).resolve().parents[2] / "mobiledet" / "backbones"
LEFT, BOTTOM, STEP = 90, 250, 38
STRIDES = (2, 4, 8, 16, 32)


def draw(folder: Path) -> None:
    """Write fast_downsampling.svg."""
    networks = (
        ("MobileNetV1", _table("mobilenet_v1"), COLOURS[0]),
        ("FD-MobileNet", _table("fd_mobilenet"), COLOURS[1]),
    )
    longest = max(len(list(_strides(table))) for _, table, _ in networks)
    canvas = Canvas(LEFT + STEP * longest + 40, 310, "Stride of the output of each layer")
    for level, stride in enumerate(STRIDES):
        y = _height(level)
        canvas.line(LEFT, y, LEFT + STEP * longest, y, "#e3e6ea")
        canvas.text(LEFT - 10, y + 4, f"stride {stride}", 12, "end")
    for number in range(longest):
        canvas.text(LEFT + STEP * (number + 0.5), BOTTOM + 22, str(number + 1), 11)
    canvas.text(LEFT + STEP * longest / 2, BOTTOM + 46, "layer (a depthwise separable convolution counts as one)", 12)
    for place, (name, table, colour) in enumerate(networks):
        for number, stride in enumerate(_strides(table)):
            y = _height(STRIDES.index(stride)) + 5 * (2 * place - 1)
            canvas.rectangle(LEFT + STEP * number + 3, y - 4, STEP - 6, 8, colour, FAINT, 3)
        canvas.rectangle(LEFT + 200 * place, 16, 14, 14, colour, FAINT, 3)
        canvas.text(LEFT + 200 * place + 20, 28, name, 13, "start")
    canvas.write(folder / "fast_downsampling.svg")


def _table(module: str) -> Sequence[tuple[int, int, int]]:
    """``STAGES`` of a backbone's file, which is read and not imported: that would load PyTorch."""
    source = BACKBONES / f"{module}.py"
    for statement in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "STAGES":
            table: Sequence[tuple[int, int, int]] = ast.literal_eval(statement.value)
            return table
    raise LookupError(f"{source} has no STAGES")


def _strides(table: Sequence[tuple[int, int, int]]) -> Iterator[int]:
    """Of the stem's output and those of the layers after it."""
    total = 2
    yield total
    for _, count, stride in table:
        total *= stride
        yield from [total] * count


def _height(level: int) -> float:
    return BOTTOM - 20 - 42 * level
