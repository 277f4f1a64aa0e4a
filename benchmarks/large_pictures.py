"""Accuracy and time of a bundle on camera-size JPEGs, by the method of resizing them to the input.

python benchmarks/large_pictures.py BUNDLE --data FOLDER [--images 48] [--megapixels 12] [--noise 25]

The validation pictures are enlarged, given noise like that of a sensor, and written as JPEGs of quality 90. Beside the
rule of ``mobiledet.data.resize`` stand its second half alone (four pixels for each, as before there was a rule), the
rule without the decoder's help, and OpenCV's averaging over areas. Times are those of the processor, of one thread.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mobiledet.bundle import open_bundle
from mobiledet.data.categories import match_labels
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.images import load_for_input, load_rgb
from mobiledet.data.read import load_split
from mobiledet.data.resize import resize_to_input
from mobiledet.detections import Detections
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.spec import InputSpec
from mobiledet.truth import ImageId


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--noise", type=float, default=25, help="standard deviation of the noise, in units of 0..255")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = open_bundle(options.bundle)
    detector = LiteRtDetector(bundle.root / bundle.select("").path, "auto", 1)
    dataset = load_split(options.data, "val").first(options.images)
    with tempfile.TemporaryDirectory() as name:
        large = enlarged(dataset, Path(name), options.megapixels, options.noise)
        for title, prepare in methods(bundle.spec.input).items():
            print(title, measured(bundle.spec.labels, match_labels(bundle.spec, large), detector, large, prepare))


def enlarged(dataset: DetectionSet, folder: Path, megapixels: float, noise: float) -> DetectionSet:
    """The same images and boxes, enlarged and with noise, as JPEGs in a folder."""
    images = []
    for number, image in enumerate(dataset.images):
        factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        width, height = (round(side * factor / 16) * 16 for side in (image.width, image.height))
        smooth = cv2.resize(
            load_rgb(image.path, image.apply_orientation), (width, height), interpolation=cv2.INTER_CUBIC
        )
        grain = cv2.randn(np.empty(smooth.shape, np.int16), np.zeros(3), np.full(3, noise))
        path = folder / f"{number}.jpg"
        Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(path, quality=90)
        scale = np.array((width / image.width, height / image.height) * 2)
        boxes = image.truth.boxes_xywh * scale
        truth = dataclasses.replace(image.truth, boxes_xywh=boxes, areas=image.truth.areas * scale[0] * scale[1])
        images.append(
            dataclasses.replace(image, path=path, width=width, height=height, truth=truth, apply_orientation=False)
        )
    return dataclasses.replace(dataset, images=tuple(images))


def methods(spec: InputSpec) -> dict[str, Callable[[Path], np.ndarray]]:
    """Methods that convert a file to the input of the model, by name."""
    if spec.resize != "stretch":
        raise SystemExit(f"pictures are stretched here, and the model wants a {spec.resize_text}; give another bundle")
    rule, four = (dataclasses.replace(spec, sampling=sampling) for sampling in ("mean", "bilinear"))

    def by_rule(path: Path) -> np.ndarray:
        decoded = load_for_input(path, rule)
        return resize_to_input(decoded.pixels, rule, decoded.extent)

    return {
        "the rule:": by_rule,
        "the rule, decoded in full:": lambda path: resize_to_input(load_rgb(path), rule),
        "averaged over areas:": lambda path: cv2.resize(
            load_rgb(path), (spec.width, spec.height), interpolation=cv2.INTER_AREA
        ),
        "four pixels:": lambda path: resize_to_input(load_rgb(path), four),
    }


def measured(
    labels: tuple[str, ...],
    label_of: Sequence[int | None],
    detector: LiteRtDetector,
    dataset: DetectionSet,
    prepare: Callable[[Path], np.ndarray],
) -> str:
    found: dict[ImageId, Detections] = {}
    prepared = ran = 0.0
    for image in dataset.images:
        started = time.process_time()
        pixels = prepare(image.path)
        ready = time.process_time()
        detector.set_input(pixels)
        detector.invoke()
        found[image.id] = detector.detections(image.height, image.width, len(labels))
        prepared, ran = prepared + ready - started, ran + time.process_time() - ready
    evaluator = CocoEvaluator(labels, dataset.truth(), label_of)
    for image_id, detections in found.items():
        evaluator.add(image_id, detections)
    score, count = evaluator.score(), len(dataset.images)
    return (
        f"mAP {score.AP:.4f} on {count} pictures, {1e3 * prepared / count:.0f} ms to decode and resize, "
        f"{1e3 * ran / count:.0f} ms for the model"
    )


if __name__ == "__main__":
    main()
