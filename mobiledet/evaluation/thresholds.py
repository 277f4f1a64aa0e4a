"""The command ``mobiledet thresholds``: prints the thresholds of a result, and stores them in the bundle."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.amend import amend_bundle
from mobiledet.bundle import Bundle, ModelFile, open_bundle
from mobiledet.errors import UserError
from mobiledet.evaluation.analysis import Analysis, promise_text
from mobiledet.evaluation.config import ThresholdsConfig
from mobiledet.evaluation.result import Accuracy, Result, read_result
from mobiledet.metrics.thresholds import ChosenThreshold, ThresholdTable
from mobiledet.operating_point import ClassPoint, OperatingPoint
from mobiledet.records import decode


def run(config: ThresholdsConfig) -> None:
    """The command ``mobiledet thresholds``."""
    result = read_result(config.result)
    accuracy, analysis = _analysed(result, config.result)
    table = _table_of(analysis, config)
    Console().print(_drawn(result, table, accuracy, analysis.iou))
    for line in _notes(result, table):
        print(line)
    if not config.write:
        print(f"not stored; pass --write {result.bundle} to store them in the bundle")
        return
    bundle = open_bundle(config.write)
    file = _same_file(bundle, result, config.result)
    sha256 = hashlib.sha256(config.result.read_bytes()).hexdigest()
    point = operating_point(result, accuracy, table, analysis.iou, sha256)
    try:  # the result may contain arbitrary values
        decode(OperatingPoint, json.loads(json.dumps(dataclasses.asdict(point))))
        point.check(bundle.spec.labels, file.sha256)
    except ValueError as error:
        raise UserError(f"{config.result} does not fit {config.write}: {error}; evaluate again") from error
    amend_bundle(config.write, [(file, {"operating_point": point})])
    replaced = f", replacing {file.operating_point}" if file.operating_point else ""
    print(f"stored in {config.write} for {file.path}: {point}{replaced}")


def operating_point(
    result: Result, accuracy: Accuracy, table: ThresholdTable, iou: float, result_sha256: str
) -> OperatingPoint:
    """The operating point to store in a bundle; ``result_sha256`` is the checksum of the result's file."""
    return OperatingPoint(
        thresholds=table.thresholds,
        classes=tuple(
            _class_point(label, threshold, chosen)
            for label, threshold, chosen in zip(result.spec.labels, table.thresholds, table.classes, strict=True)
        ),
        rule=str(table.rule),
        iou=iou,
        dataset=f"{accuracy.dataset}, {accuracy.tiles}" if accuracy.tiles else accuracy.dataset,
        images=accuracy.metrics.images,
        images_sha256=accuracy.images_sha256,
        result_sha256=result_sha256,
        file_sha256=result.file.sha256,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _class_point(label: str, threshold: float, chosen: ChosenThreshold) -> ClassPoint:
    precision, recall = chosen.precision, chosen.recall
    if chosen.threshold is None or precision is None or recall is None:
        return ClassPoint(label, threshold, own=False)
    return ClassPoint(
        label,
        threshold,
        own=True,
        precision=precision.value,
        precision_low=precision.low,
        precision_high=precision.high,
        recall=recall.value,
        recall_low=recall.low,
        recall_high=recall.high,
    )


def _analysed(result: Result, path: Path) -> tuple[Accuracy, Analysis]:
    if result.accuracy is None:
        raise UserError(f"{path} has no accuracy and therefore no thresholds; evaluate on annotated images")
    if result.accuracy.analysis is None:
        raise UserError(f"{path} was written by a version of mobiledet without thresholds; evaluate again")
    return result.accuracy, result.accuracy.analysis


def _table_of(analysis: Analysis, config: ThresholdsConfig) -> ThresholdTable:
    for table in analysis.tables:
        if table.rule.kind == config.rule:
            return table
    raise UserError(
        f"{config.result} has no thresholds for a {config.rule}; evaluate with --min-{config.rule}, such as 0.9"
    )


def _same_file(bundle: Bundle, result: Result, path: Path) -> ModelFile:
    for file in bundle.files:
        if file.sha256 == result.file.sha256:
            return file
    raise UserError(
        f"{path} was measured with {result.file.path} of another bundle ({result.bundle}): {bundle.path} has no file "
        f"with its checksum {result.file.sha256[:8]}...; evaluate {bundle.path}"
    )


def _drawn(result: Result, table: ThresholdTable, accuracy: Accuracy, iou: float) -> Table:
    title = f"{table.rule} at IoU {iou:g} on {accuracy.dataset}, {accuracy.metrics.images} images"
    drawn = Table("class", "objects", "threshold", "precision", "recall", "F1", title=escape(title))
    rows = [("all together", table.overall), *zip(result.spec.labels, table.classes, strict=True)]
    for name, chosen in rows:
        if chosen.threshold is None:
            drawn.add_row(escape(name), f"{chosen.objects}", "none", "", "", "")
        else:
            shares = promise_text(chosen.precision), promise_text(chosen.recall)
            drawn.add_row(escape(name), f"{chosen.objects}", f"{chosen.threshold:.3g}", *shares, f"{chosen.f1:.3f}")
    return drawn


def _notes(result: Result, table: ThresholdTable) -> list[str]:
    notes = ["in parentheses: 98 % interval on as many new images of the same kind"]
    if table.borrowed:
        names = ", ".join(result.spec.labels[label] for label in table.borrowed[:5])
        more = f" and {len(table.borrowed) - 5} more" if len(table.borrowed) > 5 else ""
        shown = "that of all classes together" if table.overall.threshold is not None else "1"
        notes.append(f"classes without a threshold of their own, which use {shown}: {names}{more}")
    return notes
