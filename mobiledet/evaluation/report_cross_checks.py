"""The section of the report that compares our latencies with those of another tool."""

from collections.abc import Iterable, Sequence

from mobiledet.drawing.figures import NOT_MEASURED, milliseconds
from mobiledet.drawing.markup import Markup, tag
from mobiledet.drawing.page import Cell, sortable_table
from mobiledet.evaluation.cross_check import CrossCheck
from mobiledet.evaluation.result import Result

NOTE = (
    "TensorFlow Lite's benchmark_model runs the same file on the same device without mobiledet, on random input. It "
    "does not check the outputs: no golden gate, no mAP. It shows whether our latency is plausible; its figures are "
    "not drawn in charts. Our figures are from the run with the same accelerator and number of threads."
)


def cross_checks(checks: Sequence[CrossCheck], results: Sequence[Result]) -> Markup:
    """A table with a row for each cross-check; empty if there are none."""
    if not checks:
        return Markup("")
    headings = ["model", "precision", "device", "runs on", "runs", "mean ms", "std ms", "median ms"]
    headings += ["our mean ms", "our p50 ms", "theirs / ours"]
    text = ("model", "precision", "device", "runs on")
    table = sortable_table(headings, text, (_cells(check, results) for check in checks))
    return tag("section", tag("h2", "Cross-checks"), tag("p", NOTE, class_="soft"), table, id="cross-checks")


def _cells(check: CrossCheck, results: Sequence[Result]) -> Iterable[Cell]:
    timed, execution = check.figures.timed, check.execution
    yield check.spec.name, check.spec.name
    yield check.file.precision, check.file.precision
    yield check.device.name, check.device.name
    where = f"{execution.actual}, {execution.threads} threads"
    yield where, where
    yield str(timed.count), timed.count
    ours = next((r.latency.infer for r in results if r.latency and _is_same(check, r)), None)
    theirs = [timed.mean_us, timed.std_us, timed.median_us]
    values = [None if us is None else us / 1000 for us in theirs]
    values += [ours.mean_ms, ours.p50_ms] if ours else [None, None]
    for value in values:
        yield milliseconds(value), value
    ratio = timed.mean_us / 1000 / ours.mean_ms if ours else None
    yield (f"{ratio:.2f}" if ratio is not None else NOT_MEASURED), ratio


def _is_same(check: CrossCheck, result: Result) -> bool:
    """Whether both ran the same file in the same way on the same device."""
    a, b = check.execution, result.execution
    return (check.bundle_sha256, check.file.path, check.device.name, a.actual, a.threads) == (
        result.bundle_sha256,
        result.file.path,
        result.device.name,
        b.actual,
        b.threads,
    )
