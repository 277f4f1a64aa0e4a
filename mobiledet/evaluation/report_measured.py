"""Sections of the report with the measurements."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from mobiledet.devices.untimed import why_untimed
from mobiledet.drawing.figures import NOT_MEASURED, milliseconds, precision, size
from mobiledet.drawing.markup import Markup, join, tag
from mobiledet.drawing.page import Cell, definitions, sortable_table, tile
from mobiledet.evaluation.chart_svg import histogram, map_latency, series_mark
from mobiledet.evaluation.comparison import Comparison, Point, runtime_apart, series_name, short_names
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.evaluation.result import Accuracy, Latency, Result

SHOWN_CARDS = 12


def charts(comparisons: Sequence[Comparison], results: Sequence[Result]) -> Markup:
    """mAP against latency, one card for each list of images."""
    drawn = sum(len(comparison.points) for comparison in comparisons)
    left_out = len(results) - drawn
    parts = [_comparison(comparison) for comparison in comparisons]
    if not comparisons:
        parts.append(tag("p", "No result has both accuracy and latency, so there is nothing to draw.", class_="soft"))
    elif left_out:
        reasons = "lack accuracy or latency, or need many runs for an image (tiles)"
        parts.append(tag("p", f"{left_out} of {len(results)} results {reasons}.", class_="soft"))
    return tag("section", tag("h2", "mAP against latency"), *parts, id="chart")


def _comparison(comparison: Comparison) -> Markup:
    points = comparison.points
    best = max(points, key=lambda point: point.ap)
    fastest = min(points, key=lambda point: point.ms)
    smallest = min(points, key=lambda point: point.result.file.bytes)
    tiles = tag(
        "div",
        tile("best mAP", precision(best.ap), best.name),
        tile("lowest latency, p50", f"{milliseconds(fastest.ms)} ms", fastest.name),
        tile("smallest file", size(smallest.result.file.bytes), smallest.name),
        class_="tiles",
    )
    legend = [tag("li", series_mark(i), series.name) for i, series in enumerate(comparison.series)]
    note = "Filled markers are on the Pareto front: no other result of their series is both faster and better. "
    if any(series.ladders for series in comparison.series):
        note += "Dotted lines connect the precisions of one model. "
    note += "Names without space are left out; the table below lists all results. "
    if len(comparison.series) > 1:
        note += "Different markers mean different devices, runtimes or numbers of threads."
    return join(
        tag("h3", comparison.title, class_="comparison"),
        tiles,
        tag(
            "div",
            map_latency(comparison, [point.name for point in points], 1040, 440, "full"),
            map_latency(comparison, [str(number) for number in range(1, len(points) + 1)], 360, 360, "narrow"),
            tag("ul", *legend, class_="legend"),
            tag("ol", *map(_named, points), class_="narrow"),
            class_="card",
        ),
        tag("p", note, class_="soft"),
    )


def _named(point: Point) -> Markup:
    """The legend entry for a number in the narrow chart."""
    return tag("li", f"{point.name}: {precision(point.ap)}, {milliseconds(point.ms)} ms")


def results_table(results: Sequence[Result]) -> Markup:
    """A table of all results, sortable by clicking on a heading."""
    headings = ["model", "precision", "mAP", "p50 ms", "p90 ms", "file", "AP50", "AP75", "small", "medium", "large"]
    headings += ["load ms", "first ms", "memory", "images", "remarks", "measured on"]
    text = ("model", "precision", "images", "remarks", "measured on")
    table = sortable_table(headings, text, map(_result_cells, results))
    return tag("section", tag("h2", "All results"), table, id="results")


def _result_cells(result: Result) -> Iterable[Cell]:
    accuracy, latency = result.accuracy, result.latency
    yield result.spec.name, result.spec.name
    yield result.file.precision, result.file.precision
    yield _ap(result, "AP")
    for time in (latency.infer.p50_ms, latency.infer.p90_ms) if latency else (None,) * 2:
        yield milliseconds(time), time
    yield size(result.file.bytes), result.file.bytes
    for name in ("AP50", "AP75", "APs", "APm", "APl"):
        yield _ap(result, name)
    for time in (latency.load_ms, latency.first_infer_ms) if latency else (None,) * 2:
        yield milliseconds(time), time
    memory = latency.memory_bytes if latency else None
    yield size(memory), memory
    images = f"{accuracy.dataset}, {accuracy.metrics.images}" if accuracy else NOT_MEASURED
    yield images, images
    remarks = ", ".join(remarks_of(result))
    yield remarks, remarks
    yield series_name(result), series_name(result)


def _ap(result: Result, name: str) -> Cell:
    value = getattr(result.accuracy.metrics, name) if result.accuracy else None
    return precision(value), None if value is None or value < 0 else value


def remarks_of(result: Result) -> Iterable[str]:
    """What a reader must know before comparing a result with others."""
    execution, latency = result.execution, result.latency
    if runtime_apart(result):
        yield "browser"
    if why_untimed(result.device.runtime):
        yield f"{result.device.runtime}, no latency"
    if execution.requested not in ("auto", execution.actual):
        yield f"fell back from {execution.requested}"
    if result.accuracy and result.accuracy.mode == "tensor":
        yield "tensor mode"
    if result.accuracy and result.accuracy.tiles:
        yield str(result.accuracy.tiles)
    if latency and latency.infer.throttled:
        yield "throttled"
    if latency and not latency.steady:
        yield "warm-up not steady"
    if latency and any(state.power_saving for state in latency.states):
        yield "power saving"


def latencies(results: Sequence[Result]) -> Markup:
    """A card for each result with latency: its distribution, cold start and stages."""
    cards = [
        _latency_card(name, result, result.latency)
        for name, result in zip(short_names(results), results, strict=True)
        if result.latency
    ]
    if not cards:
        return Markup("")
    note = (
        "Inference only, after the warm-up, each card with its own scale. Solid line: p50; dashed: p90 and p95. In "
        "parentheses the 95 % bootstrap interval of p50; p99 needs 200 runs. The bar is one image from file to boxes."
    )
    shown, rest = cards[:SHOWN_CARDS], cards[SHOWN_CARDS:]
    more = (
        tag("details", tag("summary", f"{len(rest)} more"), tag("div", *rest, class_="cards")) if rest else Markup("")
    )
    return tag(
        "section",
        tag("h2", "Latency"),
        tag("p", note, class_="soft"),
        tag("div", *shown, class_="cards"),
        more,
        id="latency",
    )


def _latency_card(name: str, result: Result, latency: Latency) -> Markup:
    infer = latency.infer
    interval = f" ({milliseconds(infer.p50_low_ms)} to {milliseconds(infer.p50_high_ms)})"
    tail = [infer.p90_ms, infer.p95_ms, infer.p99_ms]
    facts = [
        ("p50", f"{milliseconds(infer.p50_ms)} ms{interval}"),
        ("p90, p95, p99", f"{', '.join(map(milliseconds, tail))} ms"),
        ("mean, std", f"{milliseconds(infer.mean_ms)}, {milliseconds(infer.std_ms)} ms"),
        ("load, first run", f"{milliseconds(latency.load_ms)}, {milliseconds(latency.first_infer_ms)} ms"),
    ]
    badge = tag("span", "throttled", class_="badge", title="the last fifth of the runs is over 10 % slower")
    return tag(
        "div",
        tag("h3", name, " ", badge if infer.throttled else ""),
        tag("p", series_name(result), class_="soft"),
        histogram(infer),
        definitions(facts),
        _stages(result.accuracy.stages) if result.accuracy else Markup(""),
        class_="card",
    )


def _stages(stages: dict[str, LatencyStats]) -> Markup:
    """A bar with the share of each stage in the time of one image, from file to boxes."""
    total = sum(stats.p50_ms for stats in stages.values())
    parts = [tag("i", style=f"width:{100 * stats.p50_ms / total:.1f}%") for stats in stages.values()]
    keys = [tag("span", f"{name} {milliseconds(s.p50_ms)} ms", class_="key") for name, s in stages.items()]
    return join(
        tag("div", *parts, class_="stages", role="img", aria_label="share of each stage"),
        tag("div", *keys, class_="keys"),
    )


def precision_ladder(results: Sequence[Result]) -> Markup:
    """Size, accuracy and speed of the precisions of each model on each device."""
    ordered = sorted(results, key=lambda r: (r.spec.name, series_name(r), -r.file.bytes))
    ladders = []
    for (name, series), members in groupby(ordered, key=lambda r: (r.spec.name, series_name(r))):
        group = list(members)
        if len({result.file.precision for result in group}) > 1:
            ladders.append(_ladder(name, series, group))
    if not ladders:
        return Markup("")
    return tag("section", tag("h2", "Precision ladder"), tag("div", *ladders, class_="cards broad"), id="precision")


def _ladder(name: str, series: str, results: Sequence[Result]) -> Markup:
    base = next((result for result in results if result.file.precision == "float32"), results[0])
    headings = ("precision", "file", "mAP", "change", "p50 ms", "speed-up")
    rows = []
    for result in results:
        cells = (
            result.file.precision,
            f"{size(result.file.bytes)} ({100 * result.file.bytes / base.file.bytes:.0f} %)",
            precision(result.accuracy.metrics.AP if result.accuracy else None),
            _difference(result.accuracy, base.accuracy) if result is not base else NOT_MEASURED,
            milliseconds(result.latency.infer.p50_ms if result.latency else None),
            _speed_up(result.latency, base.latency) if result is not base else NOT_MEASURED,
        )
        rows.append(tag("tr", *(tag("td", cell) for cell in cells)))
    head = tag("thead", tag("tr", *(tag("th", heading, scope="col") for heading in headings)))
    table = tag("table", head, tag("tbody", *rows))
    return tag("div", tag("h3", name), tag("p", series, class_="soft"), tag("div", table, class_="wide"), class_="card")


def _difference(accuracy: Accuracy | None, base: Accuracy | None) -> str:
    """The difference in mAP, if both were scored on the same images with the same tiles."""
    if accuracy is None or base is None or accuracy.images_sha256 != base.images_sha256:
        return NOT_MEASURED
    if str(accuracy.tiles) != str(base.tiles):
        return NOT_MEASURED
    return f"{accuracy.metrics.AP - base.metrics.AP:+.4f}".replace("-", "−")


def _speed_up(latency: Latency | None, base: Latency | None) -> str:
    if latency is None or base is None:
        return NOT_MEASURED
    return f"{base.infer.p50_ms / latency.infer.p50_ms:.2f} ×"


def classes(results: Sequence[Result]) -> Markup:
    """AP of each class for each result, best result first and expanded."""
    named = [
        (name, result.accuracy)
        for name, result in zip(short_names(results), results, strict=True)
        if result.accuracy and result.accuracy.metrics.per_class
    ]
    if not named:
        return Markup("")
    named.sort(key=lambda entry: -entry[1].metrics.AP)
    parts = [_class_bars(name, accuracy, index == 0) for index, (name, accuracy) in enumerate(named)]
    return tag("section", tag("h2", "AP of each class"), tag("div", *parts, class_="card"), id="classes")


def _class_bars(name: str, accuracy: Accuracy, is_open: bool) -> Markup:
    ordered = sorted(accuracy.metrics.per_class.items(), key=lambda entry: -entry[1])
    bars = [
        tag(
            "li",
            tag("span", label, title=label),
            tag("i", style=f"--share:{100 * max(0.0, ap):.1f}%"),
            tag("b", precision(ap)),
        )
        for label, ap in ordered
    ]
    summary = tag("summary", f"{name}, mAP {precision(accuracy.metrics.AP)} on {accuracy.dataset}")
    return tag("details", summary, tag("ul", *bars, class_="bars"), open="" if is_open else None)
