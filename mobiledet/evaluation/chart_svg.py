"""Charts as SVG without scripts or fonts; colours come from the page's style sheet."""

from collections.abc import Sequence

import numpy as np

from mobiledet.drawing.axis import Axis
from mobiledet.drawing.figures import milliseconds, precision
from mobiledet.drawing.frame import BOTTOM, LEFT, TOP, Frame
from mobiledet.drawing.markup import Markup, join, tag
from mobiledet.evaluation.comparison import Comparison, Point, full_name, style
from mobiledet.evaluation.label_placement import Box, place_labels
from mobiledet.evaluation.latency import LatencyStats

MARK = 6.0
HISTOGRAM_BINS = 40

# outlines of the markers around (0, 0), used by the series in turn
MARKS = (
    "M-6,0 a6,6 0 1,0 12,0 a6,6 0 1,0 -12,0 z",
    "M-5.5,-5.5 h11 v11 h-11 z",
    "M0,-7 L6.5,5 h-13 z",
    "M0,-7.5 L7.5,0 L0,7.5 L-7.5,0 z",
    "M-2.5,-7 h5 v4.5 h4.5 v5 h-4.5 v4.5 h-5 v-4.5 h-4.5 v-5 h4.5 z",
    "M0,7 L6.5,-5 h-13 z",
)


def series_mark(index: int) -> Markup:
    """The marker of a series, for legends and tables."""
    return tag("svg", _mark(index, 0, 0, on_front=True), class_="mark", viewBox="-9 -9 18 18", aria_hidden="true")


def map_latency(comparison: Comparison, names: Sequence[str], width: int, height: int, kind: str) -> Markup:
    """mAP against latency: a marker for each result, its interval, and the Pareto front of each series as a line.

    Args:
        comparison: a comparison with at least one point.
        names: label of each of its points; a label without space is left out.
        width, height: size in CSS pixels; the text size does not depend on it.
        kind: CSS class, by which the style sheet shows the chart that fits the screen.
    """
    points = comparison.points
    x_axis = Axis.for_latency([point.ms for point in points])
    y_axis = Axis.for_precision([point.ap for point in points])
    frame = Frame(x_axis, y_axis, width, height)
    x, y = frame.x, frame.y
    scale = ", logarithmic" if x_axis.log else ""
    fronts, ladders, marks = [], [], []
    for index, series in enumerate(comparison.series):
        front = [(x(point.ms), y(point.ap)) for point in series.points if point.on_front]
        steps = " ".join(f"{px:.1f},{py:.1f}" for px, py in front)
        colour = style(index)[0]
        fronts.append(tag("polyline", points=steps, class_=f"front s{colour}"))
        for ladder in series.ladders:
            path = " ".join(f"{x(point.ms):.1f},{y(point.ap):.1f}" for point in ladder)
            ladders.append(tag("polyline", points=path, class_=f"ladder s{colour}"))
        for point in series.points:
            marks.append(_point(index, point, x(point.ms), y(point.ap), (x(point.low_ms), x(point.high_ms))))
    centers = [(x(point.ms), y(point.ap)) for point in points]
    area = Box(LEFT, TOP - 8, width - LEFT, height - TOP - BOTTOM + 8)
    labels = [
        tag("text", name, x=box.x, y=box.y + box.height - 3, class_="name")
        for name, box in zip(names, place_labels(names, centers, MARK, area), strict=True)
        if box
    ]
    return tag(
        "svg",
        frame.grid(f"latency p50, ms{scale} (less is better)", "mAP", ".2f"),
        *fronts,
        *ladders,
        *marks,
        *labels,
        class_=f"chart {kind}",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=f"mAP against latency on {comparison.title}",
    )


def histogram(stats: LatencyStats, width: int = 320, height: int = 72) -> Markup:
    """A histogram of the samples, with lines at p50, p90 and p95; samples far above p95 are in the last bar."""
    samples = np.array(stats.samples_ns) / 1e6
    low, high = float(samples.min()), float(min(samples.max(), 1.3 * stats.p95_ms))
    high = max(high, low * 1.001)
    counts, _ = np.histogram(samples.clip(low, high), HISTOGRAM_BINS, (low, high))
    step = width / HISTOGRAM_BINS
    bars = [
        tag("rect", x=index * step, y=height * (1 - share), width=step - 0.8, height=height * share)
        for index, share in enumerate((counts / counts.max()).tolist())
    ]
    lines = [
        tag("line", x1=place, x2=place, y1=0, y2=height, class_=name)
        for name, value in (("p50", stats.p50_ms), ("p90", stats.p90_ms), ("p95", stats.p95_ms))
        for place in [width * min(1.0, (value - low) / (high - low))]
    ]
    ends = tag(
        "div",
        tag("span", f"{milliseconds(low)} ms"),
        tag("span", f"{stats.n} runs"),
        tag("span", f"{milliseconds(high)} ms"),
        class_="histogram-ends",
    )
    name = f"distribution of {stats.n} samples"
    drawn = tag("svg", *bars, *lines, class_="histogram", viewBox=f"0 0 {width} {height}", role="img", aria_label=name)
    return join(drawn, ends)


def _mark(index: int, x: float, y: float, on_front: bool, title: str = "") -> Markup:
    colour, mark = style(index)
    kind = f"point s{colour}" + ("" if on_front else " behind")
    place = f"translate({x:.1f} {y:.1f})"
    children = [tag("title", title)] if title else []
    return tag("path", *children, d=MARKS[mark], transform=place, class_=kind)


def _point(index: int, point: Point, x: float, y: float, interval: tuple[float, float]) -> Markup:
    title = f"{full_name(point.result)}: mAP {precision(point.ap)}, p50 {milliseconds(point.ms)} ms"
    whisker = tag("line", x1=interval[0], x2=interval[1], y1=y, y2=y, class_=f"whisker s{style(index)[0]}")
    return join(whisker, _mark(index, x, y, point.on_front, title))
