"""Line charts as SVG, for training curves and for precision against recall."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.drawing.axis import Axis
from mobiledet.drawing.frame import Frame
from mobiledet.drawing.markup import Markup, tag

COLOURS = 6  # s0 to s5 of the style sheet
SPARK_WIDTH, SPARK_HEIGHT = 84, 28


@dataclass(frozen=True, eq=False)
class Line:
    """A named series of points, N x 2, in the order of x."""

    name: str
    points: NDArray[np.float64]


def line_chart(
    lines: Sequence[Line],
    x_axis: Axis,
    y_axis: Axis,
    x_name: str,
    y_name: str,
    width: int = 520,
    height: int = 270,
    kind: str = "",
) -> Markup:
    """Draw up to six lines; a line with a single point becomes a dot.

    Args:
        lines: lines within the axes.
        x_axis, y_axis: the axes.
        x_name, y_name: names of the axes.
        width, height: size in CSS pixels; the text size does not depend on it.
        kind: CSS class, as in ``page.css``: ``full`` or ``narrow``.
    """
    frame = Frame(x_axis, y_axis, width, height)
    drawn = [_line(line, f"s{index % COLOURS}", frame) for index, line in enumerate(lines)]
    return tag(
        "svg",
        frame.grid(x_name, y_name),
        *drawn,
        class_=f"chart {kind}".strip(),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=f"{y_name} against {x_name}",
    )


def legend(lines: Sequence[Line]) -> Markup:
    """The colours of the lines; empty for a single line."""
    if len(lines) < 2:
        return Markup("")
    entries = [tag("li", _swatch(f"s{index % COLOURS}"), line.name) for index, line in enumerate(lines)]
    return tag("ul", *entries, class_="legend")


def spark_line(values: NDArray[np.float64], name: str) -> Markup:
    """A small line chart of values in 0..1 at equal distances, without axes."""
    x = np.linspace(1, SPARK_WIDTH - 1, len(values))
    y = 1 + (SPARK_HEIGHT - 2) * (1 - values)
    return tag(
        "svg",
        tag("polyline", points=_places(x, y), class_="line s0"),
        class_="spark",
        viewBox=f"0 0 {SPARK_WIDTH} {SPARK_HEIGHT}",
        role="img",
        aria_label=name,
    )


def _line(line: Line, colour: str, frame: Frame) -> Markup:
    x, y = ([place(value) for value in column] for place, column in zip((frame.x, frame.y), line.points.T, strict=True))
    if len(line.points) == 1:
        return tag("circle", tag("title", line.name), cx=x[0], cy=y[0], r=4, class_=f"dot {colour}")
    return tag("polyline", tag("title", line.name), points=_places(np.array(x), np.array(y)), class_=f"line {colour}")


def _places(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _swatch(colour: str) -> Markup:
    return tag(
        "svg",
        tag("line", x1=-8, x2=8, y1=0, y2=0, class_=f"line {colour}"),
        class_="mark",
        viewBox="-9 -9 18 18",
        aria_hidden="true",
    )
