"""The command ``mobiledet report``: results as one self-contained HTML page, a PNG, and tables in CSV and Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mobiledet.drawing.markup import Markup
from mobiledet.drawing.page import render_page
from mobiledet.errors import UserError
from mobiledet.evaluation import (
    report_context,
    report_cross_checks,
    report_measured,
    report_operating,
    report_sustained,
    report_tiles,
)
from mobiledet.evaluation.chart_png import write_map_latency
from mobiledet.evaluation.comparison import compare
from mobiledet.evaluation.config import ReportConfig
from mobiledet.evaluation.cross_check import CrossCheck, is_cross_check, read_cross_check
from mobiledet.evaluation.result import Result, read_result
from mobiledet.evaluation.tables import write_csv, write_markdown
from mobiledet.files.atomic import atomic_file

SECTIONS = {
    "chart": "mAP against latency",
    "pictures": "Detections",
    "results": "All results",
    "tiles": "Tiles",
    "failures": "Failures",
    "latency": "Latency",
    "sustained": "Over time",
    "precision": "Precision",
    "classes": "Classes",
    "operating": "Operating point",
    "cross-checks": "Cross-checks",
    "devices": "Devices",
    "bundles": "Bundles",
    "method": "Method",
}


def run(config: ReportConfig) -> None:
    """The command ``mobiledet report``."""
    if not config.results:
        raise UserError("no results; give at least one JSON file that `mobiledet evaluate` wrote")
    paths = [path for given in config.results for path in result_files(given)]
    checks = [path for path in paths if is_cross_check(path)]
    results = [read_result(path) for path in paths if path not in checks]
    if not results:
        raise UserError("a report needs results besides cross-checks; give the results to compare them with, too")
    cross_checks = [read_cross_check(path) for path in checks]
    png = write_report(results, config.out, config.png, config.pictures, config.title, cross_checks)
    print(f"page: {config.out}")
    print(f"tables: {config.out.with_suffix('.csv')} and {config.out.with_suffix('.md')}")
    print(f"chart: {png}" if png else "no chart: no result has both accuracy and latency")


def result_files(path: Path) -> list[Path]:
    """The path itself, or the JSON files of a folder.

    Raises:
        UserError: the folder contains none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise UserError(f"{path} contains no JSON file of a result")
    return found


def write_report(
    results: Sequence[Result],
    out: Path,
    png: Path | None = None,
    pictures: Path | None = None,
    title: str = "On-device detection",
    cross_checks: Sequence[CrossCheck] = (),
    failures: Mapping[str, str] = MappingProxyType({}),
) -> Path | None:
    """Write the page, the chart, and the tables beside the page: .csv and .md.

    Args:
        results: at least one result.
        out: path of the page.
        png: path of the chart; by default beside the page.
        pictures: folder of images to embed.
        title: title of the page.
        cross_checks: latencies of other tools, which are not drawn in charts.
        failures: failed measurements, by name, with the reason.

    Returns:
        the path of the chart, or None if no result has both accuracy and latency.

    Raises:
        UserError: a file cannot be written, or the images cannot be read.
    """
    page = render(results, pictures, title, cross_checks, failures)
    with atomic_file(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_csv(out.with_suffix(".csv"), results)
    write_markdown(out.with_suffix(".md"), results)
    comparisons = compare(results)
    if not comparisons:
        return None
    png = png or out.with_suffix(".png")
    write_map_latency(png, comparisons)
    return png


def render(
    results: Sequence[Result],
    pictures: Path | None = None,
    title: str = "On-device detection",
    cross_checks: Sequence[CrossCheck] = (),
    failures: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The page as HTML; the arguments are those of ``write_report``."""
    sections = [
        report_measured.charts(compare(results), results),
        report_context.pictures(pictures) if pictures else Markup(""),
        report_measured.results_table(results),
        report_tiles.tiles(results),
        report_context.failures(failures),
        report_measured.latencies(results),
        report_sustained.sustained(results),
        report_measured.precision_ladder(results),
        report_measured.classes(results),
        report_operating.operating_points(results),
        report_cross_checks.cross_checks(cross_checks, results),
        report_context.devices(results),
        report_context.bundles(results),
    ]
    models = len({result.bundle_sha256 for result in results})
    devices = len({result.device for result in results})
    dates = sorted(result.created[:10] for result in results)
    span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    counts = ", ".join(_count(*c) for c in ((len(results), "result"), (models, "bundle"), (devices, "device")))
    return render_page(title, f"{counts}; {span}", sections, report_context.method(results), SECTIONS)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
