"""Sections of the report that show what was measured."""

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
        parts.append(tag("p", "No result holds both accuracy and latency, so there is nothing to draw.", class_="soft"))
    elif left_out:
        reasons = "lack accuracy or latency, or come of many runs an image (tiles)"
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
    note = "Filled marks are on the Pareto front: nothing in their series is both faster and better. "
    if any(series.ladders for series in comparison.series):
        note += "Dotted lines join the precisions of one model. "
    note += "Names that find no room are left out; the table below holds every result. "
    if len(comparison.series) > 1:
        note += "Latencies under different marks come from different devices, runtimes or numbers of threads."
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
    """What stands behind a number of the narrow chart."""
    return tag("li", f"{point.name}: {precision(point.ap)}, {milliseconds(point.ms)} ms")


def results_table(results: Sequence[Result]) -> Markup:
    """All results, a row each; a click on a heading sorts."""
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
        yield f"{result.device.runtime}, no times"
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
        "Inference alone, after the warm-up, each card on a scale of its own. Solid line: p50; dashed: p90 and p95. "
        "In brackets the 95 % bootstrap interval of p50; p99 needs 200 runs. The bar is one image from file to boxes."
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
    """Where the time of one image file goes, from file to boxes."""
    total = sum(stats.p50_ms for stats in stages.values())
    parts = [tag("i", style=f"width:{100 * stats.p50_ms / total:.1f}%") for stats in stages.values()]
    keys = [tag("span", f"{name} {milliseconds(s.p50_ms)} ms", class_="key") for name, s in stages.items()]
    return join(
        tag("div", *parts, class_="stages", role="img", aria_label="share of each stage"),
        tag("div", *keys, class_="keys"),
    )


def precision_ladder(results: Sequence[Result]) -> Markup:
    """What each precision of a model costs and gains, on one device."""
    ordered = sorted(results, key=lambda r: (r.spec.name, series_name(r), -r.file.bytes))
    ladders = []
    for (name, series), members in groupby(ordered, key=lambda r: (r.spec.name, series_name(r))):
        rungs = list(members)
        if len({rung.file.precision for rung in rungs}) > 1:
            ladders.append(_ladder(name, series, rungs))
    if not ladders:
        return Markup("")
    return tag("section", tag("h2", "Precision ladder"), tag("div", *ladders, class_="cards broad"), id="precision")


def _ladder(name: str, series: str, rungs: Sequence[Result]) -> Markup:
    base = next((rung for rung in rungs if rung.file.precision == "float32"), rungs[0])
    headings = ("precision", "file", "mAP", "change", "p50 ms", "speed-up")
    rows = []
    for rung in rungs:
        cells = (
            rung.file.precision,
            f"{size(rung.file.bytes)} ({100 * rung.file.bytes / base.file.bytes:.0f} %)",
            precision(rung.accuracy.metrics.AP if rung.accuracy else None),
            _difference(rung.accuracy, base.accuracy) if rung is not base else NOT_MEASURED,
            milliseconds(rung.latency.infer.p50_ms if rung.latency else None),
            _speed_up(rung.latency, base.latency) if rung is not base else NOT_MEASURED,
        )
        rows.append(tag("tr", *(tag("td", cell) for cell in cells)))
    head = tag("thead", tag("tr", *(tag("th", heading, scope="col") for heading in headings)))
    table = tag("table", head, tag("tbody", *rows))
    return tag("div", tag("h3", name), tag("p", series, class_="soft"), tag("div", table, class_="wide"), class_="card")


def _difference(accuracy: Accuracy | None, base: Accuracy | None) -> str:
    """Of mAP, where both were scored on the same images, cut alike."""
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
    """AP of each class, best result first and open."""
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
