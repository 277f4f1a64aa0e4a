"""The section of the report that shows latency over time, while the device becomes warm."""

from collections.abc import Sequence

import numpy as np

from mobiledet.drawing.axis import Axis
from mobiledet.drawing.figures import NOT_MEASURED, milliseconds
from mobiledet.drawing.line_chart import Line, legend, line_chart
from mobiledet.drawing.markup import Markup, tag
from mobiledet.drawing.page import definitions
from mobiledet.evaluation.comparison import series_name, short_names
from mobiledet.evaluation.result import Latency, Result

SUSTAINED_SECONDS = 30.0  # shortest measurement for which a curve is drawn
SPANS = 60
PERCENTILES = (50, 90)


def sustained(results: Sequence[Result]) -> Markup:
    """A card for each long measurement: percentiles of each sixtieth of the time."""
    cards = [
        _card(name, result, result.latency)
        for name, result in zip(short_names(results), results, strict=True)
        if result.latency and result.latency.plan.seconds >= SUSTAINED_SECONDS and result.latency.started_ns
    ]
    if not cards:
        return Markup("")
    note = "p50 and p90 of the runs in each sixtieth of the time. Throttled: p50 of the last fifth is over 10 % longer."
    return tag(
        "section",
        tag("h2", "Latency over time"),
        tag("p", note, class_="soft"),
        tag("div", *cards, class_="cards broad"),
        id="sustained",
    )


def curves(latency: Latency) -> list[Line]:
    """Percentiles in ms against seconds since the first run, with a point for each time span that has runs."""
    started, infer = np.array(latency.started_ns) / 1e9, np.array(latency.infer.samples_ns) / 1e6
    edges = np.linspace(0, max(latency.plan.seconds, float(started[-1])) * (1 + 1e-9), SPANS + 1)
    span = np.searchsorted(edges, started, side="right") - 1
    kept = [index for index in range(SPANS) if (span == index).any()]
    middles = (edges[:-1] + edges[1:]) / 2
    return [
        Line(f"p{p}", np.array([(middles[index], np.percentile(infer[span == index], p)) for index in kept]))
        for p in PERCENTILES
    ]


def _card(name: str, result: Result, latency: Latency) -> Markup:
    lines = curves(latency)
    values = np.concatenate([line.points[:, 1] for line in lines])
    last = float(lines[0].points[-1, 0])
    in_minutes = last > 180
    shown = [Line(line.name, line.points / ([60, 1] if in_minutes else [1, 1])) for line in lines]
    x_axis = Axis.linear(0, (last / 60 if in_minutes else last) or 1)
    y_axis = Axis.linear(0, float(values.max()) * 1.1)
    unit = "minutes" if in_minutes else "seconds"
    states = latency.states
    hottest = [max(state.temperatures_c.values()) for state in states if state.temperatures_c]
    statuses = list(dict.fromkeys(state.thermal_status for state in states if state.thermal_status))
    first, final = (float(lines[0].points[index, 1]) for index in (0, -1))
    facts = [
        ("p50", f"{milliseconds(first)} ms first, {milliseconds(final)} ms last"),
        (
            "runs",
            f"{latency.infer.n} in {last:.0f} s" + (f", {latency.dropped} images dropped" if latency.dropped else ""),
        ),
        ("hottest", f"{hottest[0]:.0f} → {max(hottest):.0f} °C" if hottest else NOT_MEASURED),
        ("thermal status", " → ".join(statuses) or NOT_MEASURED),
    ]
    badge = tag("span", "throttled", class_="badge") if latency.infer.throttled else ""
    return tag(
        "div",
        tag("h3", name, " ", badge),
        tag("p", series_name(result), class_="soft"),
        line_chart(shown, x_axis, y_axis, unit, "ms", width=520, height=230),
        legend(shown),
        definitions(facts),
        class_="card",
    )
