"""Time and memory of an evaluation's end at the size of COCO: 5,000 images with 100 detections each.

    python benchmarks/scoring_scale.py [--images 5000] [--detections 100] [--judge]

Writes annotations of COCO's size (80 classes, 7.3 objects an image) and a log of detections as `mobiledet evaluate`
leaves it when it is interrupted after the last image; then a fresh process reads both back and scores, as a resumed
evaluation does. Detections are objects moved a little and boxes at random. The default scorer and its peer
faster-coco-eval score in one run, and their times are reported as a ratio; with --judge, pycocotools scores them, too,
which takes minutes.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mobiledet.data.coco import load_coco
from mobiledet.detections import Detections
from mobiledet.devices.base import DeviceInfo, Execution, Frame, StageTimes
from mobiledet.evaluation.detection_log import Origin, open_log
from mobiledet.metrics.coco import NUMBERS, SCORERS, CocoEvaluator

CLASSES, OBJECTS, WIDTH, HEIGHT = 80, 7.3, 640, 480
DEVICE = DeviceInfo("benchmark", "none", "none", "none", 1, "none", "0")
LABELS = tuple(f"class {index}" for index in range(CLASSES))
ORIGIN = Origin("0" * 64, "model.tflite", DEVICE, Execution("auto", "cpu", 0.0, 1), "image", "0" * 64, LABELS)


def write(folder: Path, images: int, detections: int) -> None:
    """Write annotations and the log."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "blank.jpg")
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with open_log(folder / "log", ORIGIN) as log:
        for index in range(1, images + 1):
            (folder / "images" / f"{index}.jpg").hardlink_to(folder / "blank.jpg")
            listed.append({"id": index, "file_name": f"{index}.jpg", "width": WIDTH, "height": HEIGHT})
            count = int(rng.poisson(OBJECTS))
            truth, labels = _boxes(rng, count), rng.integers(0, CLASSES, count)
            for (x1, y1, x2, y2), label in zip(truth.tolist(), labels.tolist(), strict=True):
                box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
                ids = {"id": len(annotations) + 1, "image_id": index, "category_id": label + 1}
                annotations.append({**ids, **box})
            found = np.concatenate([truth + rng.normal(0, 8, truth.shape), _boxes(rng, detections)])[:detections]
            kinds = np.concatenate([labels, rng.integers(0, CLASSES, detections)])[:detections]
            scores = np.sort(rng.random(detections).astype(np.float32))[::-1]
            made = Detections(found.astype(np.float32), scores.copy(), kinds)
            log.add(index, Frame(Path(), made, StageTimes(1, 1, 1, 1), height=HEIGHT, width=WIDTH))
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(LABELS)]
    listing = {"images": listed, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(listing))


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corners = rng.random((count, 2)) * [WIDTH * 0.8, HEIGHT * 0.8]
    sides = 8 + rng.random((count, 2)) * [WIDTH * 0.18, HEIGHT * 0.18]
    return np.concatenate([corners, corners + sides], axis=1)


def score(folder: Path, scorer: str) -> None:
    """Read everything back and score; prints time and memory."""
    started = time.perf_counter()
    dataset = load_coco(folder / "images", folder / "annotations.json")
    with open_log(folder / "log", ORIGIN) as log:
        read, used_before = time.perf_counter(), time.process_time()
        evaluator = CocoEvaluator(dataset.labels, dataset.truth())
        for image in dataset.images:
            evaluator.add(image.id, log.found[image.id].detections)
        metrics = evaluator.score(scorer)
    scored = time.perf_counter()
    cpu = time.process_time() - used_before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(
        f"{scorer}: {metrics.images} images, {metrics.detections} detections, read {read - started:.1f} s, "
        f"scored {scored - read:.2f} s (processor {cpu:.2f} s), peak memory {peak:.2f} GB",
        file=sys.stderr,
    )
    print(json.dumps({"seconds": scored - read, "numbers": [getattr(metrics, name) for name in NUMBERS]}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--judge", action="store_true")
    parser.add_argument("--score", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.score:
        score(Path(options.score[0]), options.score[1])
        return
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), options.images, options.detections)
        scorers = [scorer for scorer in SCORERS if options.judge or scorer != "pycocotools"]
        outcomes = {}
        for scorer in scorers:
            command = [sys.executable, __file__, "--score", name, scorer]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            outcomes[scorer] = json.loads(answer)
    first = outcomes[scorers[0]]
    for scorer in scorers[1:]:
        apart = np.abs(np.subtract(first["numbers"], outcomes[scorer]["numbers"])).max()
        times = outcomes[scorer]["seconds"] / first["seconds"]
        print(f"{scorer} took {times:.1f} times as long as {scorers[0]}; the twelve numbers differ by {apart:.1e}")


if __name__ == "__main__":
    main()
