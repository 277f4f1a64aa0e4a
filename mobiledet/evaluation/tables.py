"""Writes results as tables: CSV with all figures, Markdown with the most important ones."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from mobiledet.drawing.figures import milliseconds, precision, size
from mobiledet.drawing.markdown import table
from mobiledet.evaluation.comparison import series_name
from mobiledet.evaluation.result import Accuracy, Result
from mobiledet.files.atomic import atomic_file
from mobiledet.metrics.coco import NUMBERS

LATENCIES = ("p50_ms", "p50_low_ms", "p50_high_ms", "p90_ms", "p95_ms", "p99_ms", "mean_ms", "std_ms", "min_ms", "n")
HEADINGS = ("model", "precision", "mAP", "AP50", "p50 ms", "p90 ms", "file", "images", "measured on")

FORMULA = ("=", "+", "-", "@")

Value = str | float | None


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """Write a row for each result; cells are empty for figures that were not measured.

    Raises:
        UserError: the file cannot be written.
    """
    rows = [_row(result) for result in results]
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _no_formula(value) for name, value in row.items()} for row in rows)


def write_markdown(path: Path, results: Sequence[Result]) -> None:
    """Write a short table, best mAP first.

    Raises:
        UserError: the file cannot be written.
    """
    ordered = sorted(results, key=lambda result: -result.accuracy.metrics.AP if result.accuracy else 1)
    text = table(HEADINGS, map(_cells, ordered))
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _no_formula(value: Value) -> Value:
    """Escape a text so that a spreadsheet does not execute it as a formula.

    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in FORMULA else value


def _cells(result: Result) -> tuple[str, ...]:
    metrics = result.accuracy.metrics if result.accuracy else None
    infer = result.latency.infer if result.latency else None
    return (
        result.spec.name,
        result.file.precision,
        precision(metrics.AP if metrics else None),
        precision(metrics.AP50 if metrics else None),
        milliseconds(infer.p50_ms if infer else None),
        milliseconds(infer.p90_ms if infer else None),
        size(result.file.bytes),
        _images(result.accuracy) if result.accuracy else "",
        series_name(result),
    )


def _images(accuracy: Accuracy) -> str:
    return f"{accuracy.dataset}, {accuracy.metrics.images}" + (f", {accuracy.tiles}" if accuracy.tiles else "")


def _row(result: Result) -> Mapping[str, Value]:
    spec, device, execution = result.spec, result.device, result.execution
    accuracy, latency = result.accuracy, result.latency
    row: dict[str, Value] = {
        "model": spec.name,
        "backbone": spec.backbone,
        "detector": spec.detector,
        "height": spec.input.height,
        "width": spec.input.width,
        "file": result.file.path,
        "format": result.file.format,
        "precision": result.file.precision,
        "bytes": result.file.bytes,
        **{f"device_{name}": value for name, value in vars(device).items()},
        "accelerator_requested": execution.requested,
        "accelerator_actual": execution.actual,
        "delegated_share": execution.delegated_share,
        "threads": execution.threads,
        "dataset": accuracy.dataset if accuracy else None,
        "images": accuracy.metrics.images if accuracy else None,
        "images_sha256": accuracy.images_sha256 if accuracy else None,
        "mode": accuracy.mode if accuracy else None,
        "tiles": str(accuracy.tiles) if accuracy and accuracy.tiles else None,
        "whole_AP": accuracy.tiles.whole_metrics.AP if accuracy and accuracy.tiles else None,
        "whole_image_ms": accuracy.tiles.whole_ms if accuracy and accuracy.tiles else None,
        "image_ms": accuracy.image_ms if accuracy else None,
        **{name: getattr(accuracy.metrics, name) if accuracy else None for name in NUMBERS},
        **{name: getattr(latency.infer, name) if latency else None for name in LATENCIES},
        "fps": latency.plan.fps if latency else None,
        "dropped": latency.dropped if latency else None,
        "steady": latency.steady if latency else None,
        "throttled": latency.infer.throttled if latency else None,
        "load_ms": latency.load_ms if latency else None,
        "first_infer_ms": latency.first_infer_ms if latency else None,
        "memory_bytes": latency.memory_bytes if latency else None,
        "bundle_sha256": result.bundle_sha256,
        "created": result.created,
    }
    return row
