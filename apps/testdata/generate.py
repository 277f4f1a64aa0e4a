"""Run as a program: write the test vectors for all implementations; README.md describes each file.

python apps/testdata/generate.py [FOLDER]

The expected values come from the package mobiledet, so a change of its behaviour changes the vectors.
"""

import json
import sys
from pathlib import Path
from typing import Any

from vectors.bundles import bundle_cases, recordings
from vectors.decoding import detection_cases, gate_cases, shown_cases
from vectors.formats import golden_file_cases, sums_cases
from vectors.frames import frame_cases
from vectors.geometry import exif_cases, orientation_cases, placement_cases, resize_cases
from vectors.latency import latency_cases, steady_cases
from vectors.pacing import pacing_cases
from vectors.protocol import batch_cases, exchange_cases, message_cases
from vectors.recommended import accelerator_cases, recommended_cases
from vectors.signatures import signature_cases, store_cases
from vectors.tracking import tracking_cases


def write(folder: Path) -> None:
    """Write every file."""
    (folder / "bundles").mkdir(parents=True, exist_ok=True)
    for name, cases in (
        ("bundles", bundle_cases(folder / "bundles")),
        ("sums", sums_cases()),
        ("golden", golden_file_cases()),
        ("recordings", recordings()),
        ("recommended", recommended_cases()),
        ("accelerators", accelerator_cases()),
        ("resize", resize_cases()),
        ("frames", frame_cases()),
        ("placement", placement_cases()),
        ("orientation", orientation_cases()),
        ("exif", exif_cases()),
        ("detections", detection_cases()),
        ("shown", shown_cases()),
        ("gate", gate_cases()),
        ("latency", latency_cases()),
        ("steady", steady_cases()),
        ("tracking", tracking_cases()),
        ("pacing", pacing_cases()),
        ("messages", message_cases()),
        ("batches", batch_cases()),
        ("signatures", signature_cases(folder / "bundles")),
        ("model_store", store_cases(folder / "bundles")),
        ("exchanges", exchange_cases(folder / "bundles")),
    ):
        (folder / f"{name}.json").write_text(_text(cases), encoding="utf-8")


def _text(cases: list[dict[str, Any]]) -> str:
    """Write one case per line, so that a changed case is a changed line."""
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    return f'{{"cases": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
