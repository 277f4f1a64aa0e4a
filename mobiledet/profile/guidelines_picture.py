"""The four experiments behind the guidelines as a PNG file."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mobiledet.devices.base import DeviceInfo
from mobiledet.evaluation.chart_png import COLOURS, DPI, SCALE
from mobiledet.files.atomic import atomic_file
from mobiledet.profile.outcome import Outcome
from mobiledet.profile.picture import GRID, INK

WIDTH, HEIGHT = 1100, 760  # pixels; the file has twice the resolution
HERE, PAPER = COLOURS[0], "#b9bec7"
BAR = 0.38


def write_guidelines_picture(path: Path, outcomes: Sequence[Outcome], device: DeviceInfo, threads: int) -> None:
    """Draw a panel for each of at most four experiments: times relative to the recommended network.

    Raises:
        UserError: the file cannot be written.
    """
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI * SCALE)
    canvas = FigureCanvasAgg(figure)
    suffix = "s" if threads != 1 else ""
    here = f"{device.cpu}, {threads} thread{suffix}"
    figure.text(0.03, 0.955, "Do the guidelines of ShuffleNet V2 hold here?", fontsize=13, fontweight="bold", color=INK)
    subtitle = "time relative to the network that the guideline recommends; more is slower"
    figure.text(0.03, 0.925, subtitle, fontsize=9.5, color=INK)
    for number, outcome in enumerate(outcomes):
        row, column = divmod(number, 2)
        _draw(figure.add_axes((0.06 + 0.49 * column, 0.52 - 0.43 * row, 0.42, 0.29)), outcome)
    handles = [Patch(color=HERE, label=here), Patch(color=PAPER, label="the paper's ARM processor")]
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.98, 0.985), fontsize=9, frameon=False)
    with atomic_file(path) as temporary:
        canvas.print_png(temporary)


def _draw(axes: Axes, outcome: Outcome) -> None:
    first = outcome.variants[0]
    ours = [variant.latency.p50_ms / first.latency.p50_ms for variant in outcome.variants]
    below = [(v.latency.p50_ms - v.latency.p50_low_ms) / first.latency.p50_ms for v in outcome.variants]
    above = [(v.latency.p50_high_ms - v.latency.p50_ms) / first.latency.p50_ms for v in outcome.variants]
    theirs = [first.paper / variant.paper for variant in outcome.variants]
    places = range(len(ours))
    for offset, values, color, ink, whiskers in (
        (-BAR / 2, ours, HERE, "white", (below, above)),
        (BAR / 2, theirs, PAPER, INK, None),
    ):
        shifted = [place + offset for place in places]
        bars = axes.bar(shifted, values, BAR, color=color, yerr=whiskers, ecolor=INK, error_kw={"elinewidth": 1})
        axes.bar_label(bars, fmt="%.2f", label_type="center", fontsize=8.5, color=ink)
    axes.axhline(1, color=INK, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.2 * max(*ours, *theirs))  # intervals beyond this are clipped
    labels = [f"{v.label}\n{v.latency.p50_ms:.2f} ms" for v in outcome.variants]
    axes.set_xticks(places, labels, fontsize=8.5)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    title = f"{outcome.guideline} {outcome.title}: {outcome.verdict}"
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=20)
    axes.text(0, 1.03, outcome.question, transform=axes.transAxes, fontsize=9, color=INK)
