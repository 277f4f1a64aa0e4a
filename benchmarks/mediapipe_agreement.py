"""Compares the detections of MediaPipe Tasks' ObjectDetector with ours, on the .tflite files of a bundle.

Twice for every precision: with images resized to the model's size beforehand, where both must find the same, and with
images of their own sizes, which each stretches by a kernel of its own, where most of the confident detections must be
the same; MediaPipe has no letterbox, so ours stretches there whatever the bundle says. MediaPipe gives boxes in whole
pixels; ours are rounded likewise before they are compared. The exit status is 1 if they agree less than that.

    python benchmarks/mediapipe_agreement.py runs/quickstart/model.mobiledet --images runs/quickstart/shapes/val2017
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from mobiledet.bundle import open_bundle
from mobiledet.data.images import list_images, load_rgb
from mobiledet.data.resize import resize_to_input
from mobiledet.detections import Detections
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.matching import Tolerance, match
from mobiledet.spec import ModelSpec


class Case(NamedTuple):
    """One comparison.

    Attributes:
        title: in words.
        stretched: whether images are stretched to the model's size beforehand.
        least: lowest score of a detection that counts.
        tolerance: when two detections are the same.
    """

    title: str
    stretched: bool
    least: float
    tolerance: Tolerance


CASES = (
    Case("images of the model's size", True, 0.0, Tolerance(iou=0.5, score=1e-5)),
    Case("images of their own sizes, scores from 0.3 on", False, 0.3, Tolerance(iou=0.8, score=0.1)),
)


@dataclass
class Agreement:
    """Counts over images, and the largest differences of equal detections.

    Attributes:
        ours, theirs: detections.
        same: pairs of them.
        score, pixels: largest differences within the pairs, pixels of any side of the boxes.
    """

    ours: int = 0
    theirs: int = 0
    same: int = 0
    score: float = 0.0
    pixels: float = 0.0

    def add(self, ours: Detections, theirs: Detections, tolerance: Tolerance) -> None:
        """Count the detections of one image."""
        pairs, _ = match(ours, theirs)
        pairs = pairs[(pairs["iou"] >= tolerance.iou) & (pairs["score_difference"] <= tolerance.score)]
        boxes = ours.boxes_xyxy[pairs["expected"]] - theirs.boxes_xyxy[pairs["found"]]
        self.ours += len(ours)
        self.theirs += len(theirs)
        self.same += len(pairs)
        self.score = max(self.score, float(pairs["score_difference"].max(initial=0)))
        self.pixels = max(self.pixels, float(np.abs(boxes).max(initial=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument(
        "--share",
        type=float,
        default=0.8,
        help="fraction of the detections that must agree on images of their own sizes",
    )
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    spec, paths = bundle.spec, list_images(options.images)[: options.count]
    agree = True
    for file in (file for file in bundle.files if file.format == "tflite"):
        for case in CASES:
            found = Agreement()
            for ours, theirs in detections(bundle.root / file.path, spec, pictures(paths, spec, case.stretched)):
                found.add(confident(ours, case.least), confident(theirs, case.least), case.tolerance)
            print(f"{file.precision}, {len(paths)} {case.title}, within {case.tolerance}: {found}", flush=True)
            agree &= found.same >= (1 if case.stretched else options.share) * max(found.ours, found.theirs)
    sys.exit(not agree)


def confident(detections: Detections, least: float) -> Detections:
    """The detections with at least a score."""
    kept = detections.scores >= least
    return Detections(detections.boxes_xyxy[kept], detections.scores[kept], detections.labels[kept])


def pictures(paths: Iterable[Path], spec: ModelSpec, stretched: bool) -> Iterator[np.ndarray]:
    """The images, H x W x 3 uint8 RGB."""
    for path in paths:
        pixels = load_rgb(path)
        yield resize_to_input(pixels, spec.input) if stretched else pixels


def detections(path: Path, spec: ModelSpec, images: Iterable[np.ndarray]) -> Iterator[tuple[Detections, Detections]]:
    """Our detections and MediaPipe's in each image, with boxes in whole pixels, without boxes of zero area."""
    runner = LiteRtDetector(path)
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(path)), score_threshold=0.0, max_results=-1
    )
    with vision.ObjectDetector.create_from_options(options) as theirs:
        for image in images:
            height, width = image.shape[:2]
            runner.set_input(resize_to_input(image, dataclasses.replace(spec.input, resize="stretch")))
            runner.invoke()
            found = runner.detections(height, width)
            corners, sizes = found.boxes_xyxy[:, :2], found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
            given = theirs.detect(mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image))).detections
            rows = [(d.bounding_box, c) for d in given for c in d.categories]
            yield (
                whole(corners, sizes, found.scores, found.labels),
                whole(
                    np.array([(box.origin_x, box.origin_y) for box, _ in rows]).reshape(-1, 2),
                    np.array([(box.width, box.height) for box, _ in rows]).reshape(-1, 2),
                    np.array([category.score for _, category in rows]),
                    np.array([spec.labels.index(category.category_name) for _, category in rows], int),
                ),
            )


def whole(corners: np.ndarray, sizes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> Detections:
    """Detections with corner and size rounded down, as MediaPipe does it."""
    corners, sizes = np.floor(corners), np.floor(sizes)
    kept = [index for index in np.argsort(-scores, kind="stable") if (sizes[index] > 0).all()]
    boxes = np.concatenate((corners, corners + sizes), axis=1).astype(np.float32)
    return Detections(boxes[kept], scores[kept].astype(np.float32), labels[kept])


if __name__ == "__main__":
    main()
