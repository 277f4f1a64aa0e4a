"""The section of the report with the score thresholds and the errors at them."""

from collections.abc import Sequence

import numpy as np

from mobiledet.drawing.axis import Axis
from mobiledet.drawing.confusion import CONFUSION_TITLE, confusion_table
from mobiledet.drawing.line_chart import Line, legend, line_chart
from mobiledet.drawing.markup import Markup, join, tag
from mobiledet.drawing.page import plain_table
from mobiledet.evaluation.analysis import Analysis, promise_text
from mobiledet.evaluation.comparison import short_names
from mobiledet.evaluation.result import Accuracy, Result
from mobiledet.metrics.errors import calibration_error
from mobiledet.metrics.thresholds import ChosenThreshold, ThresholdTable

SHOWN_CLASSES = 20  # rows of a table that are expanded
NOTE = (
    "The score threshold of every class, by the best F1 and by the requested precision or recall. In parentheses the "
    "98 % interval of precision and recall on as many new images of the same kind, because the threshold was chosen on "
    "these. Errors, confusion and images refer to the thresholds of the best F1."
)


def operating_points(results: Sequence[Result]) -> Markup:
    """Thresholds, kinds of error, confusion, calibration and the worst images of each result, best mAP first."""
    named = [
        (name, result, result.accuracy, result.accuracy.analysis)
        for name, result in zip(short_names(results), results, strict=True)
        if result.accuracy and result.accuracy.analysis
    ]
    if not named:
        return Markup("")
    named.sort(key=lambda entry: -entry[2].metrics.AP)
    parts = [_result(*entry, is_open=index == 0) for index, entry in enumerate(named)]
    return tag("section", tag("h2", "Operating point"), tag("p", NOTE, class_="soft"), *parts, id="operating")


def _result(name: str, result: Result, accuracy: Accuracy, analysis: Analysis, is_open: bool) -> Markup:
    labels = result.spec.labels
    best = analysis.tables[0].overall
    summary = (
        f"{name}: F1 {best.f1:.3f} at IoU {analysis.iou:g} on {accuracy.dataset}, {accuracy.metrics.images} images"
    )
    tables = [_card(f"Thresholds: {table.rule}", _thresholds(table, labels)) for table in analysis.tables]
    return tag(
        "details",
        tag("summary", summary),
        *tables,
        tag(
            "div",
            _card("Kinds of error", _kinds(analysis)),
            _card("Calibration", _calibration(analysis)),
            _card(CONFUSION_TITLE, confusion_table({(e.truth, e.found): e.count for e in analysis.confusion}, labels)),
            _card("Images with most errors", _worst(analysis)),
            class_="cards broad",
        ),
        open="" if is_open else None,
    )


def _card(title: str, content: Markup) -> Markup:
    return tag("div", tag("h3", title), content, class_="card")


def _thresholds(table: ThresholdTable, labels: Sequence[str]) -> Markup:
    headings = ("class", "threshold", "precision", "recall", "F1", "objects")
    rows = [_threshold_row("all together", table.overall)]
    rows += [_threshold_row(label, chosen) for label, chosen in zip(labels, table.classes, strict=True)]
    shown, rest = rows[: SHOWN_CLASSES + 1], rows[SHOWN_CLASSES + 1 :]
    if not rest:
        return plain_table(headings, shown)
    more = tag("details", tag("summary", f"{len(rest)} more classes"), plain_table(headings, rest))
    return join(plain_table(headings, shown), more)


def _threshold_row(name: str, chosen: ChosenThreshold) -> list[str]:
    if chosen.threshold is None:
        return [name, "none", "", "", "", f"{chosen.objects}"]
    shares = [promise_text(chosen.precision), promise_text(chosen.recall)]
    return [name, f"{chosen.threshold:.3g}", *shares, f"{chosen.f1:.3f}", f"{chosen.objects}"]


def _kinds(analysis: Analysis) -> Markup:
    most = max(1, *(kind.count for kind in analysis.errors.values()))
    bars = [
        tag(
            "li",
            tag("span", name),
            tag("i", style=f"--share:{100 * kind.count / most:.1f}%"),
            tag("b", f"{kind.count}"),
        )
        for name, kind in analysis.errors.items()
    ]
    lost = ", ".join(f"{name} {kind.ap_lost:.3f}" for name, kind in analysis.errors.items() if kind.ap_lost >= 0.0005)
    return join(
        tag("ul", *bars, class_="bars one"),
        tag(
            "p",
            f"Loss of AP{100 * analysis.iou:.0f} by each kind, over all scores: {lost or 'nothing'}.",
            class_="soft",
        ),
    )


def _calibration(analysis: Analysis) -> Markup:
    if not analysis.calibration:
        return tag("p", "No detections, so no calibration.", class_="soft")
    points = np.array([(b.score, b.found / b.count) for b in analysis.calibration])
    lines = [Line("measured", points), Line("score = precision", np.array([(0.0, 0.0), (1.0, 1.0)]))]
    whole = Axis.linear(0.0, 1.0)
    error = f"Expected calibration error {calibration_error(analysis.calibration):.3f}."
    chart = line_chart(lines, whole, whole, "score", "precision", width=360, height=260)
    return join(chart, legend(lines), tag("p", error, class_="soft"))


def _worst(analysis: Analysis) -> Markup:
    if not analysis.worst:
        return tag("p", "No image has an error.", class_="soft")
    rows = [(i.file_name, f"{i.missed} of {i.objects}", f"{i.wrong}") for i in analysis.worst]
    return plain_table(("image", "missed", "wrong"), rows)
