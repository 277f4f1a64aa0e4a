"""Detection rate of objects by their size in the input: the curve behind the ranking of ``mobiledet plan``.

    python benchmarks/found_by_size.py BUNDLE --data DATA [--stride 8] [--score 0.05]

The bundle runs over the validation images. An object counts as detected if a detection of its class overlaps it with an
IoU of at least 0.5. Its size is its shorter side in pixels of the input, in units of the finest stride. The output is
the detection rate by size, and the constant K of the best-fitting curve size / (size + K), up to a factor for what the
detector misses at any size.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from scipy.optimize import curve_fit

from mobiledet.bundle import open_bundle
from mobiledet.data.read import load_split
from mobiledet.devices import open_device
from mobiledet.matching import pairwise_iou
from mobiledet.placement import Placement

EDGES = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--stride", type=int, default=8)
    parser.add_argument("--score", type=float, default=0.05)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    dataset = load_split(options.data, "val")
    session = open_device("local").load(bundle, bundle.select())
    label_of = {name: index for index, name in enumerate(dataset.labels)}
    place = np.array([label_of.get(name, -1) for name in bundle.spec.labels])
    sizes, found = [], []
    frames = session.detect(image.path for image in dataset.images)
    for image, frame in zip(dataset.images, frames, strict=True):
        scale = Placement.of(image.height, image.width, bundle.spec.input).scale
        sides = (image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]) * scale
        kept = frame.detections.scores >= options.score
        overlaps = pairwise_iou(image.boxes_xyxy, frame.detections.boxes_xyxy[kept])
        same = image.labels[:, None] == place[frame.detections.labels[kept]][None]
        sizes.append(sides.min(axis=1) / options.stride)
        found.append((overlaps * same).max(axis=1, initial=0) >= 0.5)
    size, hit = np.concatenate(sizes), np.concatenate(found)
    for low, high in itertools.pairwise(EDGES):
        inside = (size >= low) & (size < high)
        if inside.any():
            print(f"{low:>3} to {high:>4} strides: {hit[inside].mean():6.1%} of {inside.sum()} objects found")
    (constant, most), _ = curve_fit(lambda u, k, m: m * u / (u + k), size, hit.astype(float), p0=(2.0, 0.9))
    print(f"K = {constant:.2f} strides, at most {most:.0%} found")


if __name__ == "__main__":
    main()
