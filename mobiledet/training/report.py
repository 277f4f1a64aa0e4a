"""The HTML report of a run: training curves, training images, predictions, mistakes, classes and settings."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mobiledet.drawing.axis import Axis
from mobiledet.drawing.confusion import CONFUSION_TITLE, confusion_table
from mobiledet.drawing.figures import NOT_MEASURED, precision
from mobiledet.drawing.line_chart import Line, legend, line_chart, spark_line
from mobiledet.drawing.markup import Markup, tag
from mobiledet.drawing.page import Cell, definitions, figure, render_page, sortable_table, tile
from mobiledet.files.atomic import atomic_file
from mobiledet.metrics.coco import PrecisionRecall
from mobiledet.spec import ModelSpec
from mobiledet.training.config import TrainConfig
from mobiledet.training.curves import CurvePoint, downsampled, read_lines, read_points, with_interval_losses
from mobiledet.training.mistakes import Mistakes
from mobiledet.training.run_folder import RunFolder, config_to_json
from mobiledet.training.samples import SCORE, Sample
from mobiledet.training.validation import Validation

SECTIONS = {
    "curves": "Training curves",
    "trained": "Trained on",
    "samples": "Predictions",
    "mistakes": "Mistakes",
    "recall": "Precision and recall",
    "classes": "Classes",
    "settings": "Settings",
}
DRAWN_IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)
TRAINED_NOTE = (
    "The first images of the first epoch as the network sees them, after --augmentation and resizing, with their "
    "boxes. A box that is wrong here is learned wrong."
)
MISTAKES_NOTE = (
    "Latest evaluation. The score threshold of each class is that of its best F1; an object is detected if the IoU is "
    "at least 0.50. White: ground truth. Coloured: detections."
)

Evaluation = dict[str, Any]  # a line of metrics.jsonl


@dataclass(frozen=True, eq=False)
class PageContent:
    """The content of the report besides the curves.

    Attributes:
        validation: the latest evaluation.
        samples: validation images with its detections.
        mistakes: the errors in its detections.
        trained_on: images as the network sees them in training.
        ending: why the run ended before its last epoch; otherwise empty.
    """

    validation: Validation
    samples: Sequence[Sample]
    mistakes: Mistakes
    trained_on: Sequence[Sample] = ()
    ending: str = ""


def write_report(folder: RunFolder, config: TrainConfig, spec: ModelSpec, content: PageContent) -> None:
    """Write report.html from the logs of the run and its latest evaluation, replacing an older report.

    Args:
        folder: run folder, whose log already contains the latest evaluation.
        config: settings of the run.
        spec: description of the model.
        content: the latest evaluation.

    Raises:
        UserError: the file cannot be written.
    """
    page = render(config, spec, read_points(folder.curves), read_lines(folder.metrics), content)
    with atomic_file(folder.report) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(
    config: TrainConfig,
    spec: ModelSpec,
    points: Sequence[CurvePoint],
    evaluations: Sequence[Evaluation],
    content: PageContent,
) -> str:
    """The page as HTML; there must be at least one evaluation."""
    latest = evaluations[-1]
    subtitle = f"{spec.training.dataset}, epoch {latest['epoch']} of {config.epochs}; {latest.get('time', '')[:16]}"
    sections = [
        tag("section", _tiles(points, evaluations), _ending(content.ending)),
        _curves(points, evaluations),
        _pictures("trained", "Trained on", TRAINED_NOTE, content.trained_on),
        _samples(content.samples, latest["epoch"]),
        _mistakes(content.mistakes, spec.labels, any(content.validation.curves.objects)),
        _recall(content.validation.curves),
        _classes(content.validation),
    ]
    return render_page(spec.name, subtitle.replace("T", " "), sections, _settings(config), SECTIONS)


def _tiles(points: Sequence[CurvePoint], evaluations: Sequence[Evaluation]) -> Markup:
    best, latest = max(evaluations, key=lambda evaluation: evaluation["AP"] or 0), evaluations[-1]
    tiles = [
        tile("best mAP", precision(best["AP"]), f"epoch {best['epoch']}"),
        tile("latest mAP", precision(latest["AP"]), f"epoch {latest['epoch']}"),
        tile("latest AP50", precision(latest["AP50"]), f"AP75 {precision(latest['AP75'])}"),
    ]
    if points:
        tiles.append(tile("training speed", f"{points[-1].images_per_s:.0f} images/s", "latest epoch, with loading"))
    return tag("div", *tiles, class_="tiles")


def _ending(text: str) -> Markup:
    return tag("p", f"{text[0].upper()}{text[1:]}.", class_="told") if text else Markup("")


def _curves(points: Sequence[CurvePoint], evaluations: Sequence[Evaluation]) -> Markup:
    """One card each for loss, mAP, learning rate and speed over the epochs."""
    names = list(dict.fromkeys(name for point in points for name in point.losses))
    recent = with_interval_losses(points)
    losses = [
        Line(name, _xy((point.epoch, point.losses[name]) for point in recent if name in point.losses)) for name in names
    ]
    if len(names) > 1:
        losses.insert(0, Line("sum", _xy((point.epoch, sum(point.losses.values())) for point in recent)))
    scores = [
        Line(name, _xy((evaluation["epoch"], evaluation[key]) for evaluation in evaluations))
        for name, key in (("mAP", "AP"), ("AP50", "AP50"), ("AP75", "AP75"))
    ]
    charts = {
        "Loss": (losses, "mean loss"),
        "Validation": (scores, "AP"),
        "Learning rate": ([Line("learning rate", _xy((point.epoch, point.lr) for point in points))], "per step"),
        "Speed": ([Line("speed", _xy((point.epoch, point.images_per_s) for point in points))], "images/s"),
    }
    cards = [
        tag("div", tag("h3", title), line_chart(lines, *_axes(lines), "epoch", unit), legend(lines), class_="card")
        for title, (lines, unit) in charts.items()
        if any(len(line.points) for line in lines)
    ]
    return tag("section", tag("h2", "Training curves"), tag("div", *cards, class_="cards broad"), id="curves")


def _xy(points: Iterable[tuple[float, float]]) -> np.ndarray:
    values = np.array([*points], np.float64).reshape(-1, 2)
    return downsampled(values[np.isfinite(values).all(axis=1)])  # AP is None without objects


def _axes(lines: Sequence[Line]) -> tuple[Axis, Axis]:
    """Both axes from 0. A few outliers, such as the first losses of a run, are cut off so that the rest stays
    readable."""
    x, y = np.concatenate([line.points for line in lines]).T
    top = min(float(y.max()), 4 * float(np.quantile(y, 0.9)))
    return Axis.linear(0, math.ceil(x.max())), Axis.linear(0, 1.05 * top if top > 0 else 1.0)


def _samples(samples: Sequence[Sample], epoch: int) -> Markup:
    note = f"After epoch {epoch}. White: ground truth. Coloured: detections with a score of at least {SCORE:g}."
    return _pictures("samples", "Predictions", note, samples)


def _pictures(key: str, title: str, note: str, samples: Sequence[Sample]) -> Markup:
    if not samples:
        return Markup("")
    head = tag("h2", title), tag("p", note, class_="soft")
    return tag("section", *head, _figures(samples), id=key)


def _figures(samples: Sequence[Sample]) -> Markup:
    figures = [figure(sample.picture, sample.name, f"{sample.name}: {sample.caption}") for sample in samples]
    return tag("div", *figures, class_="pictures large")


def _mistakes(mistakes: Mistakes, labels: Sequence[str], has_objects: bool) -> Markup:
    """The confusion of classes, and the worst images."""
    if not has_objects:
        return Markup("")
    parts = [tag("div", tag("h3", CONFUSION_TITLE), confusion_table(mistakes.confusion, labels), class_="card")]
    if mistakes.worst:
        parts += [tag("h3", "Images with most errors"), _figures(mistakes.worst)]
    return tag("section", tag("h2", "Mistakes"), tag("p", MISTAKES_NOTE, class_="soft"), *parts, id="mistakes")


def _recall(curves: PrecisionRecall) -> Markup:
    """Precision against recall, averaged over the classes that have objects."""
    present = np.array(curves.objects) > 0
    if not present.any():
        return Markup("")
    lines = [
        Line(f"IoU {iou:.2f}", np.column_stack((curves.recall, curves.at(iou)[:, present].mean(axis=1))))
        for iou in DRAWN_IOUS
    ]
    unit = Axis.linear(0, 1)
    sizes = ((1040, 380, "full"), (440, 330, "narrow"))
    charts = [line_chart(lines, unit, unit, "recall", "precision", *size) for size in sizes]
    note = f"Latest evaluation, mean over {present.sum()} classes; the area below a line is the AP at its IoU."
    return tag(
        "section",
        tag("h2", "Precision and recall"),
        tag("p", note, class_="soft"),
        tag("div", *charts, legend(lines), class_="card"),
        id="recall",
    )


def _classes(validation: Validation) -> Markup:
    curves = validation.curves
    headings = ("class", "objects", "AP", "AP50", "AP75", "curve")
    order = sorted(range(len(curves.labels)), key=lambda index: -validation.metrics.per_class[curves.labels[index]])
    table = sortable_table(headings, ("class",), (_class_cells(validation, index) for index in order))
    note = "Latest evaluation. The curve is precision over recall at IoU 0.50; a click on a heading sorts."
    return tag("section", tag("h2", "Classes"), tag("p", note, class_="soft"), table, id="classes")


def _class_cells(validation: Validation, index: int) -> Iterable[Cell]:
    curves = validation.curves
    name, objects = curves.labels[index], curves.objects[index]
    yield name, name
    yield str(objects), objects
    at_50, at_75 = curves.at(0.5)[:, index], curves.at(0.75)[:, index]
    for value in (validation.metrics.per_class[name], float(at_50.mean()), float(at_75.mean())):
        yield (precision(value), value) if objects else (NOT_MEASURED, None)
    yield (spark_line(at_50, f"{name}: precision over recall"), float(at_50.mean())) if objects else ("", None)


def _settings(config: TrainConfig) -> Markup:
    """All settings, those that differ from the defaults first."""
    values, defaults = config_to_json(config), config_to_json(TrainConfig())
    facts = {name: "" if value is None else str(value) for name, value in values.items()}
    chosen = [(name, facts[name]) for name in facts if values[name] != defaults[name]]
    others = [(name, facts[name] or NOT_MEASURED) for name in facts if values[name] == defaults[name]]
    return tag(
        "section",
        tag("h2", "Settings"),
        definitions(chosen),
        tag("details", tag("summary", "defaults"), definitions(others)),
        id="settings",
    )
