"""Prints a summary of a result to the terminal."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.devices.untimed import why_untimed
from mobiledet.drawing.figures import milliseconds, precision, size
from mobiledet.evaluation.analysis import Analysis, promise_text
from mobiledet.evaluation.cross_check import CrossCheck
from mobiledet.evaluation.result import Accuracy, Latency, Result, TiledAccuracy


def print_summary(result: Result) -> None:
    """Print the measurements of a result, with the model and the device."""
    _print(_rows(result))


def print_cross_check(check: CrossCheck) -> None:
    """Print the measurements of another tool."""
    _print(_cross_check_rows(check))


def _print(rows: Iterable[tuple[str, str]]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")  # a long path is wrapped, not shortened
    for name, text in rows:
        table.add_row(f"[bold]{name}[/bold]", text)
    Console().print(table)


def _cross_check_rows(check: CrossCheck) -> Iterator[tuple[str, str]]:
    figures, device = check.figures, check.device
    mean, deviation, median = (
        None if us is None else us / 1000
        for us in (figures.timed.mean_us, figures.timed.std_us, figures.timed.median_us)
    )
    yield "model", escape(f"{check.spec.name}, {check.file.path}, {size(check.file.bytes)}")
    yield "device", escape(f"{device.name}: {device.model}, {device.os}")
    yield (
        "tool",
        f"benchmark_model {device.runtime_version}, {check.execution.actual}, {check.execution.threads} threads",
    )
    yield "latency", f"mean [green]{milliseconds(mean)} ms[/green], std {milliseconds(deviation)} ms"
    yield "", f"median {milliseconds(median)} ms, {figures.timed.count} runs"
    yield (
        "cold",
        f"load {milliseconds(figures.init_us / 1000)} ms, first run {milliseconds(figures.first_us / 1000)} ms",
    )
    yield (
        "note",
        "a cross-check: no golden gate, no mAP; `mobiledet report` lists it beside results, but not in charts",
    )


def _rows(result: Result) -> Iterator[tuple[str, str]]:
    execution, device = result.execution, result.device
    yield "model", escape(f"{result.spec.name}, {result.file.path}, {size(result.file.bytes)}")
    yield "device", escape(f"{device.name}: {device.cpu}, {device.os}")
    yield "runtime", f"{device.runtime} {device.runtime_version}, {execution.actual}, {execution.threads} threads"
    if execution.requested not in ("auto", execution.actual):
        yield "", f"[yellow]{execution.requested} was requested, the device fell back to {execution.actual}[/yellow]"
    if result.accuracy:
        yield from _accuracy_rows(result.accuracy)
    if result.latency:
        yield from _latency_rows(result.latency)
    elif why_untimed(device.runtime):
        yield "latency", f"not measured: {why_untimed(device.runtime)}"


def _accuracy_rows(accuracy: Accuracy) -> Iterator[tuple[str, str]]:
    m = accuracy.metrics
    yield "mAP", f"[green]{precision(m.AP)}[/green] on {escape(accuracy.dataset)}, {m.images} images"
    yield "", f"AP50 {precision(m.AP50)}, AP75 {precision(m.AP75)}"
    yield "", f"small {precision(m.APs)}, medium {precision(m.APm)}, large {precision(m.APl)}"
    if accuracy.tiles:
        yield "tiles", f"{accuracy.tiles}: {', '.join(tile_facts(accuracy, accuracy.tiles))}"
    if accuracy.analysis:
        yield from _analysis_rows(accuracy.analysis)
    for note in accuracy.notes:
        yield "note", escape(note)
    if accuracy.skipped:
        yield "skipped", escape(f"{len(accuracy.skipped)}: {accuracy.skipped_by_reason}; all are listed in the result")
        yield "", escape(f"for example {accuracy.skipped[0]}")


def _analysis_rows(analysis: Analysis) -> Iterator[tuple[str, str]]:
    for index, table in enumerate(analysis.tables):
        chosen, name = table.overall, "thresholds" if index == 0 else ""
        if chosen.threshold is None:
            yield name, f"{table.rule}: no threshold reaches it"
            continue
        shares = f"precision {promise_text(chosen.precision)}, recall {promise_text(chosen.recall)}"
        yield name, f"{table.rule} at IoU {analysis.iou:g}: score {chosen.threshold:.3g}, {shares}"
        lacking = len(table.borrowed)
        if lacking:
            yield "", f"{lacking} of {len(table.classes)} classes have no threshold of their own"
    counts = ", ".join(f"{kind} {found.count}" for kind, found in analysis.errors.items() if found.count)
    yield "errors", f"{counts or 'none'} (`mobiledet thresholds` lists the classes, `mobiledet report` draws all)"


def tile_facts(accuracy: Accuracy, tiles: TiledAccuracy) -> Iterator[str]:
    """Gain and cost of tiles, as short texts."""
    gain = accuracy.metrics.AP - tiles.whole_metrics.AP
    yield f"mAP {gain:+.4f} against {precision(tiles.whole_metrics.AP)} without".replace("-", "−")
    if accuracy.image_ms and tiles.whole_ms:
        share, whole = accuracy.image_ms / tiles.whole_ms, milliseconds(tiles.whole_ms)
        yield f"{share:.1f} times the time ({whole} → {milliseconds(accuracy.image_ms)} ms an image)"
    yield f"{tiles.runs:.1f} runs an image"


def _latency_rows(latency: Latency) -> Iterator[tuple[str, str]]:
    infer = latency.infer
    interval = f"{milliseconds(infer.p50_low_ms)} to {milliseconds(infer.p50_high_ms)}"
    yield "latency", f"p50 [green]{milliseconds(infer.p50_ms)} ms[/green] ({interval}), {infer.n} runs"
    yield "", f"p90 {milliseconds(infer.p90_ms)} ms, p95 {milliseconds(infer.p95_ms)} ms"
    if latency.plan.fps:
        dropped = f", {latency.dropped} images arrived while it was busy" if latency.dropped else ""
        yield "", f"at {latency.plan.fps:g} images/s, as from a camera{dropped}"
    if not latency.steady:
        yield "", "[yellow]the latency was not steady after the warm-up: see --warmup-limit-seconds[/yellow]"
    if infer.throttled:
        yield "", "[yellow]throttled: the last runs took over 10 % longer than the first[/yellow]"
    yield "cold", f"load {milliseconds(latency.load_ms)} ms, first run {milliseconds(latency.first_infer_ms)} ms"
    yield "memory", size(latency.memory_bytes)
