"""The gain in mAP and the cost in time of tiles, on images of many times the usual size.

python benchmarks/tiles_on_mosaics.py BUNDLE --data FOLDER [--val-set test] [--grid 1 2 3] [--tiles auto]

The validation images of one size are arranged side by side, GRID by GRID, so that their objects become small for the
detector, which is the use case of tiles. The output compares tiles with whole images alone.
"""

import argparse
import dataclasses
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mobiledet.bundle import open_bundle
from mobiledet.data.config import DataOptions
from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.images import load_rgb
from mobiledet.data.read import load_split
from mobiledet.devices.local import LocalDevice
from mobiledet.evaluation.run import evaluate
from mobiledet.evaluation.summary import tile_facts
from mobiledet.evaluation.tiles import parse_tiling
from mobiledet.truth import Truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--val-set", default="")
    parser.add_argument("--file", default="float32")
    parser.add_argument("--grid", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--tiles", default="auto")
    parser.add_argument("--overlap", type=float, default=0.2)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    file, tiling = bundle.select(options.file), parse_tiling(options.tiles, options.overlap)
    dataset = load_split(options.data, "val", "skip", DataOptions(val_set=options.val_set))
    for grid in options.grid:
        with tempfile.TemporaryDirectory() as name:
            large = mosaics(dataset, Path(name), grid)
            result = evaluate(bundle, file, LocalDevice(), large, threads=1, tiling=tiling, quiet=True)
        accuracy = result.accuracy
        assert accuracy
        assert accuracy.tiles
        size = f"{large.images[0].width} x {large.images[0].height}"
        print(f"{len(large.images)} pictures of {size}, {accuracy.tiles}: mAP {accuracy.metrics.AP:.4f},", end=" ")
        print(", ".join(tile_facts(accuracy, accuracy.tiles)), flush=True)


def mosaics(dataset: DetectionSet, folder: Path, grid: int) -> DetectionSet:
    """Mosaics of grid x grid images of the most frequent size, with their boxes; an incomplete one is left out."""
    size = Counter((image.width, image.height) for image in dataset.images).most_common(1)[0][0]
    alike = [image for image in dataset.images if (image.width, image.height) == size]
    step = grid * grid
    groups = [alike[start : start + step] for start in range(0, len(alike) - step + 1, step)]
    images = [_mosaic(group, folder / f"{number}.png", grid) for number, group in enumerate(groups)]
    return dataclasses.replace(dataset, images=tuple(images), left_out=())


def _mosaic(group: Sequence[LabelledImage], path: Path, grid: int) -> LabelledImage:
    pictures = [load_rgb(image.path, image.apply_orientation) for image in group]
    rows = [np.hstack(pictures[start : start + grid]) for start in range(0, len(group), grid)]
    Image.fromarray(np.vstack(rows)).save(path, compress_level=1)
    width, height = group[0].width, group[0].height
    corners = [(place % grid * width, place // grid * height, 0, 0) for place in range(len(group))]
    truth = Truth(
        np.concatenate([i.truth.boxes_xywh + np.array(c) for i, c in zip(group, corners, strict=True)]),
        *(np.concatenate([getattr(i.truth, name) for i in group]) for name in ("areas", "labels", "is_crowd")),
    )
    return dataclasses.replace(
        group[0], path=path, width=grid * width, height=grid * height, truth=truth, apply_orientation=False
    )


if __name__ == "__main__":
    main()
