"""The profile of a network as a PNG file."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mobiledet.complexity import KINDS
from mobiledet.drawing.figures import milliseconds
from mobiledet.evaluation.chart_png import COLOURS, DPI, SCALE
from mobiledet.files.atomic import atomic_file
from mobiledet.profile.record import COUNTS, NetworkProfile
from mobiledet.profile.runtime import RUN_KINDS
from mobiledet.profile.tables import TITLES

WIDTH, HEIGHT = 1100, 740  # pixels; the file has twice the resolution
INK, GRID = "#33363c", "#e3e4e8"
KIND_COLOURS = dict(zip(KINDS, COLOURS, strict=False))
RUN_COLOURS = dict(
    zip(RUN_KINDS, (COLOURS[5], "#c99a1a", "#7a5c3e", "#8a8f98"), strict=True)
)  # different from KIND_COLOURS
OPERATIONS_SHOWN = 8
LEGEND = {"fontsize": 8.5, "frameon": False, "handlelength": 1, "columnspacing": 1.2}
XNNPACK_NAMES = "Fully Connected: 1x1 convolutions too\nDWConv: depthwise convolutions"
LABELLED_FROM = 0.06  # smaller parts of a bar are too narrow for a number


def write_profile_picture(path: Path, profile: NetworkProfile) -> None:
    """Draw shares by kind of layer, the time by operation if it was measured, and the cost of every layer.

    Raises:
        UserError: the file cannot be written.
    """
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI * SCALE)
    canvas = FigureCanvasAgg(figure)
    figure.text(0.02, 0.965, _title(profile), fontsize=12.5, fontweight="bold", color=INK, parse_math=False)
    figure.text(0.02, 0.936, _subtitle(profile), fontsize=9.5, color=INK, parse_math=False)
    _draw_shares(figure.add_axes((0.115, 0.64, 0.36, 0.22)), profile)
    _draw_time(figure.add_axes((0.70, 0.64, 0.28, 0.22)), profile)
    layers = figure.add_axes((0.07, 0.29, 0.91, 0.20))
    _draw_layers(layers, profile, "macs", "multiply-adds, M")
    _draw_layers(figure.add_axes((0.07, 0.06, 0.91, 0.20)), profile, "memory_access", "memory access, M")
    layers.set_title("layers in the order of execution", loc="left", fontsize=10.5, color=INK)
    layers.tick_params(labelbottom=False)
    with atomic_file(path) as temporary:
        canvas.print_png(temporary)


def _title(profile: NetworkProfile) -> str:
    return f"{profile.name}, {profile.input_size} × {profile.input_size} pixels"


def _subtitle(profile: NetworkProfile) -> str:
    text = (
        f"{profile.macs / 1e6:.1f} M multiply-adds, {profile.parameters / 1e6:.2f} M parameters, "
        f"{profile.memory_access / 1e6:.2f} M numbers of memory access"
    )
    if profile.run_time and profile.device:
        threads = f"{profile.run_time.threads} thread" + ("s" if profile.run_time.threads != 1 else "")
        text += f"; {milliseconds(profile.run_time.whole_ms)} ms on {threads} of {profile.device.cpu}"
    return text


def _draw_shares(axes: Axes, profile: NetworkProfile) -> None:
    """A stacked bar for each count, divided by kind of layer."""
    for row, count in enumerate(reversed(COUNTS)):
        start = 0.0
        for kind in KINDS:
            share = profile.shares[count][kind]
            axes.barh(row, share, left=start, height=0.62, color=KIND_COLOURS[kind], edgecolor="white", linewidth=0.8)
            if share >= LABELLED_FROM:
                axes.text(start + share / 2, row, f"{share:.0%}", ha="center", va="center", color="white", fontsize=8.5)
            start += share
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.set_yticks(range(len(COUNTS)), [TITLES[count] for count in reversed(COUNTS)], fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    present = [kind for kind in KINDS if any(profile.shares[count][kind] for count in COUNTS)]
    patches = [Patch(color=KIND_COLOURS[kind], label=kind) for kind in present]
    axes.legend(handles=patches, loc="lower center", bbox_to_anchor=(0.5, -0.22), ncols=len(KINDS), **LEGEND)
    axes.set_title("share by kind of layer", loc="left", fontsize=10.5, color=INK)


def _draw_time(axes: Axes, profile: NetworkProfile) -> None:
    """A bar for each of the longest operations."""
    axes.spines[["top", "right"]].set_visible(False)
    run_time = profile.run_time
    axes.set_title("time in LiteRT, ms", loc="left", fontsize=10.5, color=INK, x=-0.7)
    if run_time is None:
        axes.set_axis_off()
        axes.text(0, 0.5, "not measured", fontsize=10, color=INK, transform=axes.transAxes)
        return
    shown = run_time.operations[:OPERATIONS_SHOWN][::-1]
    axes.barh(range(len(shown)), [o.ms for o in shown], height=0.7, color=[RUN_COLOURS[o.kind] for o in shown])
    for row, operation in enumerate(shown):
        text, place = milliseconds(operation.ms), (operation.ms, row)
        axes.annotate(text, place, (3, 0), textcoords="offset points", va="center", fontsize=7.5, color=INK)
    axes.set_yticks(range(len(shown)), [f"{_in_short(o.name)} × {o.count}" for o in shown], fontsize=7.5)
    axes.text(1, 0.05, XNNPACK_NAMES, transform=axes.transAxes, fontsize=7.5, color=INK, ha="right")
    axes.set_xlim(0, max(o.ms for o in shown) * 1.15)
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    patches = [Patch(color=RUN_COLOURS[kind], label=f"{kind} {run_time.shares[kind]:.0%}") for kind in RUN_KINDS]
    axes.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.2, -0.13), ncols=len(RUN_KINDS), **LEGEND)


def _in_short(operation: str) -> str:
    """Shorten ``Convolution (NHWC, F32) IGEMM`` to ``Convolution IGEMM``."""
    bare, _, rest = operation.partition(" (")
    detail = rest.partition(") ")[2]
    return bare if detail in ("", bare) else f"{bare} {detail}"


def _draw_layers(axes: Axes, profile: NetworkProfile, count: str, title: str) -> None:
    """A bar for each layer."""
    heights = [getattr(layer, count) / 1e6 for layer in profile.layers]
    axes.bar(range(1, len(heights) + 1), heights, width=0.8, color=[KIND_COLOURS[x.kind] for x in profile.layers])
    axes.set_xlim(0.3, len(heights) + 0.7)
    axes.set_ylabel(title, fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
