"""``mobiledet report``: results as one self-contained HTML page and a PNG."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from mobiledet.atomic import atomic_file
from mobiledet.errors import UserError
from mobiledet.evaluation import report_context, report_measured
from mobiledet.evaluation.chart_png import write_map_latency
from mobiledet.evaluation.comparison import compare
from mobiledet.evaluation.config import ReportConfig
from mobiledet.evaluation.markup import Markup, join, tag
from mobiledet.evaluation.result import Result, read_result

# the browser refuses to load anything that is not in the page
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
SECTIONS = {
    "chart": "mAP against latency",
    "pictures": "Detections",
    "results": "All results",
    "latency": "Latency",
    "precision": "Precision",
    "classes": "Classes",
    "devices": "Devices",
    "bundles": "Bundles",
    "method": "Method",
}


def run(config: ReportConfig) -> None:
    """The command ``mobiledet report``."""
    if not config.results:
        raise UserError("no results; give at least one JSON file that `mobiledet evaluate` wrote")
    results = [read_result(path) for path in config.results]
    png = write_report(results, config.out, config.png, config.pictures, config.title)
    print(f"page: {config.out}")
    print(f"chart: {png}" if png else "no chart: no result holds both accuracy and latency")


def write_report(
    results: Sequence[Result],
    out: Path,
    png: Path | None = None,
    pictures: Path | None = None,
    title: str = "On-device detection",
) -> Path | None:
    """Write the page and the chart.

    Args:
        results: at least one.
        out: the page.
        png: the chart; beside the page by default.
        pictures: folder of pictures to embed.
        title: heading of the page.

    Returns:
        the chart's path, or None when no result holds both accuracy and latency.

    Raises:
        UserError: a file cannot be written, or the pictures cannot be read.
    """
    page = render(results, pictures, title)
    with atomic_file(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    comparisons = compare(results)
    if not comparisons:
        return None
    png = png or out.with_suffix(".png")
    write_map_latency(png, comparisons)
    return png


def render(results: Sequence[Result], pictures: Path | None = None, title: str = "On-device detection") -> str:
    """The page as text."""
    sections = [
        report_measured.charts(compare(results), results),
        report_context.pictures(pictures) if pictures else Markup(""),
        report_measured.results_table(results),
        report_measured.latencies(results),
        report_measured.precision_ladder(results),
        report_measured.classes(results),
        report_context.devices(results),
        report_context.bundles(results),
    ]
    method = report_context.method(results)
    body = join(*sections, method)
    links = [tag("a", name, href=f"#{key}") for key, name in SECTIONS.items() if f'id="{key}"' in body]
    models = len({result.bundle_sha256 for result in results})
    devices = len({result.device for result in results})
    dates = sorted(result.created[:10] for result in results)
    span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    counts = ", ".join(_count(*c) for c in ((len(results), "result"), (models, "bundle"), (devices, "device")))
    package = files("mobiledet.evaluation")
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", title),
        tag("style", Markup((package / "report.css").read_text(encoding="utf-8"))),
    )
    header = tag("header", tag("h1", title), tag("p", f"{counts}; {span}", class_="soft"), tag("nav", *links))
    script = tag("script", Markup((package / "report.js").read_text(encoding="utf-8")))
    page = tag(
        "html", tag("head", head), tag("body", header, tag("main", *sections), tag("footer", method), script), lang="en"
    )
    return f"<!doctype html>\n{page}\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
