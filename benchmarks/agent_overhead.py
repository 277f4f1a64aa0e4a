"""Measures how much longer an evaluation takes through an agent on this machine than in process.

    python benchmarks/agent_overhead.py BUNDLE --data DATA [--images 500] [--turns 3] [--threads 1]

Both sides run the same file over the same images with the same number of threads, in turns: first the detections alone,
then a whole evaluation, which also keeps all detections on disk and scores. The agent runs in a process of its own. The
time to upload and load the bundle is not counted on either side. The detections must be equal.
"""

import argparse
import contextlib
import dataclasses
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobiledet.bundle import Bundle, open_bundle
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.read import load_split
from mobiledet.devices import open_device
from mobiledet.devices.base import DeviceInfo, Execution, Frame, Session
from mobiledet.evaluation.accuracy import measure_accuracy
from mobiledet.evaluation.detection_log import Origin, open_log
from mobiledet.metrics.coco import CocoMetrics

TOLERANCE, TOLERANCE_MAP = 1e-4, 1e-6
DEVICE = DeviceInfo("benchmark", "none", "none", "none", 1, "none", "0")
ORIGIN = Origin("0" * 64, "model.tflite", DEVICE, Execution("auto", "cpu", 0.0, 1), "image", "0" * 64, ())


@contextmanager
def agent() -> Iterator[tuple[str, str]]:
    """URL and token of an agent of this installation."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "mobiledet.cli", "agent", "--cache", cache]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(4)]
        try:
            yield lines[0].split()[1].rstrip(","), lines[1].split()[1]
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True)
class Turn:
    """One measurement of one side: seconds for detection alone and for a whole evaluation, and the results."""

    detect_s: float
    evaluate_s: float
    frames: list[Frame]
    metrics: CocoMetrics


def take_turn(session: Session, bundle: Bundle, dataset: DetectionSet) -> Turn:
    """Run on all images; then evaluate as ``mobiledet evaluate`` does: detect, log every image, score."""
    started = time.perf_counter()
    frames = list(session.detect(image.path for image in dataset.images))
    detected = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        begun = time.perf_counter()
        with open_log(Path(folder) / "log", ORIGIN) as log:
            accuracy = measure_accuracy(session, bundle.spec, dataset, log=log)
        evaluated = time.perf_counter()
    return Turn(detected - started, evaluated - begun, frames, accuracy.metrics)


def largest_difference(a: Sequence[Frame], b: Sequence[Frame]) -> float:
    """The largest difference of any coordinate in pixels, or of any score; classes must be equal."""
    worst = 0.0
    for left, right in zip(a, b, strict=True):
        if not np.array_equal(left.detections.labels, right.detections.labels):
            return float("inf")
        for name in ("boxes_xyxy", "scores"):
            difference = getattr(left.detections, name) - getattr(right.detections, name)
            worst = max(worst, float(np.abs(difference).max(initial=0)))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    file = bundle.select()
    whole = load_split(options.data, options.split)
    dataset = dataclasses.replace(whole, images=whole.images[: options.images])
    turns: dict[str, list[Turn]] = {"in process": [], "agent": []}
    with agent() as (url, token):
        sessions = {}
        for name, device in zip(turns, (open_device("local"), open_device(url, token)), strict=True):
            sessions[name] = device.load(bundle, file, threads=options.threads)
            sessions[name].golden()
            list(sessions[name].detect(image.path for image in dataset.images[:50]))
        for _ in range(options.turns):
            for name, session in sessions.items():
                turns[name].append(take_turn(session, bundle, dataset))
        sessions.clear()
    for part in ("detect_s", "evaluate_s"):
        seconds = {name: [getattr(turn, part) for turn in taken] for name, taken in turns.items()}
        for name, values in seconds.items():
            print(f"{part:>10} {name:>10}: {', '.join(f'{value:.3f}' for value in values)}")
        for word, pick in (("fastest", min), ("median", statistics.median)):
            print(f"{part:>10} ratio of the {word} turns: {pick(seconds['agent']) / pick(seconds['in process']):.3f}")
    here, there = (taken[-1] for taken in turns.values())
    difference = largest_difference(here.frames, there.frames)
    drift = abs(here.metrics.AP - there.metrics.AP)
    print(f"largest difference of a coordinate (pixels) or score: {difference:.2g}, of mAP: {drift:.2g}")
    sys.exit(difference > TOLERANCE or drift > TOLERANCE_MAP)


if __name__ == "__main__":
    main()
