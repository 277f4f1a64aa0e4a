"""The chart of mAP against latency as a PNG file, for places that cannot show HTML."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mobiledet.drawing.axis import Axis
from mobiledet.evaluation.comparison import Comparison, style
from mobiledet.evaluation.label_placement import Box, place_labels
from mobiledet.files.atomic import atomic_file

# size of one chart in pixels at 100 dots per inch; the files have twice the resolution
WIDTH, HEIGHT = 1000, 560
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 44, 52
DPI = 100
SCALE = 2
MARK = 6.0
MARKERS = ("o", "s", "^", "D", "P", "v")
COLOURS = ("#2a6fdb", "#c8641b", "#2d8a4e", "#8250c4", "#c23b4a", "#14828c")


def write_map_latency(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Draw one chart for each comparison (at least one), one below the other.

    Raises:
        UserError: the file cannot be written.
    """
    rows = len(comparisons)
    figure = Figure(figsize=(WIDTH / DPI, rows * HEIGHT / DPI), dpi=DPI * SCALE)
    canvas = FigureCanvasAgg(figure)
    for row, comparison in enumerate(comparisons):
        bottom = (rows - 1 - row + BOTTOM / HEIGHT) / rows
        size = (WIDTH - LEFT - RIGHT) / WIDTH, (HEIGHT - TOP - BOTTOM) / HEIGHT / rows
        _draw(figure.add_axes((LEFT / WIDTH, bottom, *size)), comparison)
    with atomic_file(path) as temporary:
        canvas.print_png(temporary)


def _draw(chart: Axes, comparison: Comparison) -> None:
    points = comparison.points
    x_axis = Axis.for_latency([point.ms for point in points])
    y_axis = Axis.for_precision([point.ap for point in points])
    chart.set_xscale("log" if x_axis.log else "linear")
    chart.set_xlim(x_axis.low, x_axis.high)
    chart.set_ylim(y_axis.low, y_axis.high)
    chart.xaxis.set_major_locator(FixedLocator(x_axis.ticks))
    chart.xaxis.set_minor_locator(NullLocator())
    chart.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    chart.yaxis.set_major_locator(FixedLocator(y_axis.ticks))
    chart.grid(color="#e3e4e8", linewidth=0.8)
    chart.set_axisbelow(True)
    chart.spines[["top", "right"]].set_visible(False)
    for index, series in enumerate(comparison.series):
        colour, mark = style(index)
        color, marker = COLOURS[colour], MARKERS[mark]
        front = [point for point in series.points if point.on_front]
        chart.plot([p.ms for p in front], [p.ap for p in front], color=color, alpha=0.45, linewidth=1.5, zorder=2)
        for ladder in series.ladders:
            chart.plot([p.ms for p in ladder], [p.ap for p in ladder], ":", color=color, linewidth=1.2, zorder=2)
        for point in series.points:
            chart.plot([point.low_ms, point.high_ms], [point.ap, point.ap], color=color, linewidth=1, zorder=2)
            face = color if point.on_front else "white"
            chart.plot(point.ms, point.ap, marker, color=color, markerfacecolor=face, markersize=7, zorder=3)
        chart.plot([], [], marker, color=color, label=series.name)
    _name_points(chart, comparison, x_axis, y_axis)
    chart.set_xlabel("latency p50, ms" + (" (logarithmic)" if x_axis.log else ""))
    chart.set_ylabel("mAP")
    chart.set_title(comparison.title, loc="left", fontsize=11, parse_math=False)
    chart.legend(fontsize=8, frameon=False, loc="lower right")


def _name_points(chart: Axes, comparison: Comparison, x_axis: Axis, y_axis: Axis) -> None:
    """Write the names beside the markers; names without space are left out."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    points = comparison.points
    names = [point.name for point in points]
    centers = [(width * x_axis.place(point.ms), height * (1 - y_axis.place(point.ap))) for point in points]
    for name, box in zip(names, place_labels(names, centers, MARK, Box(0, 0, width, height)), strict=True):
        if box:
            middle = (box.x + box.width / 2) / width, 1 - (box.y + box.height / 2) / height
            chart.text(
                *middle,
                name,
                transform=chart.transAxes,
                fontsize=8.5,
                color="#33363c",
                ha="center",
                va="center",
                parse_math=False,
                zorder=4,
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )
