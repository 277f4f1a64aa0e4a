"""Throughput of the training data loader: mobiledet against torchvision's v2 transforms for the same work.

Both decode the same JPEG files, augment alike in the same order (crop or SSD's zoom-out and IoU crop, stretch to the
input, flip, colours, removal of tiny boxes) and stack batches in as many worker processes. torchvision works on uint8
tensors from its own decoder, its fastest way. A third line is mobiledet with a filled --cache-images. All take turns,
an epoch each, so that disturbances affect all of them.

    python benchmarks/data_path.py --workers 2
    python benchmarks/data_path.py --data /data/coco --augmentation ssd --workers 16
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2

from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.loader import build_loader, training_cache
from mobiledet.data.read import load_split
from mobiledet.data.shapes import write_shapes
from mobiledet.data.transforms import FILL, Augmentation, train_transform
from mobiledet.spec import InputSpec

WIDTH, HEIGHT = 640, 480
GRAIN = 14.0  # standard deviation; JPEG files become about as large as COCO's

AUGMENTATIONS = {
    "default": Augmentation(),
    "ssd": Augmentation(
        crop_probability=0.0,
        zoom_out_probability=0.5,
        iou_crop_probability=1.0,
        min_visibility=0.0,
        colour_probability=0.5,
        brightness=(0.875, 1.125),
        contrast=(0.5, 1.5),
        saturation=(0.5, 1.5),
        channel_shuffle_probability=0.5,
    ),
}
Sample = tuple[Tensor, dict[str, Tensor]]


def torchvision_transform(name: str, side: int) -> v2.Transform:
    """The same augmentation, composed of torchvision's transforms."""
    options = AUGMENTATIONS[name]
    if name == "ssd":
        view = [
            v2.RandomZoomOut(fill=FILL, side_range=(1.0, options.zoom_out), p=options.zoom_out_probability),
            v2.RandomIoUCrop(),
            v2.Resize((side, side), antialias=False),
        ]
        colours = [v2.RandomPhotometricDistort(p=options.colour_probability)]
    else:
        crop = v2.RandomResizedCrop((side, side), options.crop_scale, options.crop_ratio, antialias=False)
        whole = v2.Resize((side, side), antialias=False)
        view = [v2.RandomChoice([crop, whole], p=[options.crop_probability, 1 - options.crop_probability])]
        changes = ("brightness", options.brightness), ("contrast", options.contrast), ("saturation", options.saturation)
        spans = [*changes, ("hue", (-options.hue, options.hue))]
        colours = [v2.RandomApply([v2.ColorJitter(**{key: span})], options.colour_probability) for key, span in spans]
    flip = v2.RandomHorizontalFlip(options.flip_probability)
    return v2.Compose([*view, flip, *colours, v2.SanitizeBoundingBoxes(min_size=options.min_side)])


class TorchvisionDataset(Dataset[Sample]):
    """Images and boxes in the types that torchvision's transforms expect."""

    def __init__(self, images: tuple[LabelledImage, ...], transform: v2.Transform) -> None:
        self.images = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        source = self.images[index]
        image = tv_tensors.Image(decode_jpeg(read_file(str(source.path)), mode=ImageReadMode.RGB))
        size = source.height, source.width
        boxes = tv_tensors.BoundingBoxes(torch.from_numpy(source.boxes_xyxy), format="XYXY", canvas_size=size)
        drawn: Sample = self.transform(image, {"boxes": boxes, "labels": torch.from_numpy(source.labels)})
        return drawn


def stack(samples: list[Sample]) -> tuple[Tensor, list[dict[str, Tensor]]]:
    return torch.stack([image for image, _ in samples]), [target for _, target in samples]


def photographs(folder: Path, count: int) -> DetectionSet:
    """Images of shapes of COCO's image size, with grain that makes their files about as large as COCO's."""
    write_shapes(folder / "shapes", train=count, val=1)
    shapes = load_split(folder / "shapes", "train")
    rng = np.random.default_rng(0)
    images = []
    for image in shapes.images:
        with Image.open(image.path) as picture:
            large = np.asarray(picture.resize((WIDTH, HEIGHT)))
        path = folder / image.path.name
        grain = rng.normal(0, GRAIN, large.shape)
        Image.fromarray((large + grain).clip(0, 255).astype(np.uint8)).save(path, quality=90)
        scale = np.array((WIDTH / image.width, HEIGHT / image.height) * 2)
        truth = dataclasses.replace(image.truth, boxes_xywh=image.truth.boxes_xywh * scale)
        images.append(LabelledImage(image.id, path, WIDTH, HEIGHT, truth))
    return dataclasses.replace(shapes, images=tuple(images))


def epoch_seconds(batches: Iterable[object]) -> float:
    begun = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder in COCO's layout; without it images of shapes are generated")
    parser.add_argument("--augmentation", choices=AUGMENTATIONS, default="default")
    parser.add_argument("--images", type=int, default=512, help="number of images in an epoch")
    parser.add_argument("--image-size", type=int, default=320)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--epochs", type=int, default=5, help="number of timed epochs of each side, after an untimed one"
    )
    arguments = parser.parse_args()
    side, batch, workers = arguments.image_size, arguments.batch_size, arguments.workers
    torch.set_num_threads(1)  # as in the workers
    cv2.setNumThreads(0)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if arguments.data:
            dataset = load_split(arguments.data, "train")
            dataset = dataclasses.replace(dataset, images=dataset.images[: arguments.images])
        else:
            dataset = photographs(folder, arguments.images)
        file_kb = statistics.mean(image.path.stat().st_size for image in dataset.images) / 1000
        make = partial(
            build_loader,
            dataset,
            batch,
            transform=train_transform(InputSpec(side, side), AUGMENTATIONS[arguments.augmentation]),
            spec=InputSpec(side, side),
            shuffle=True,
            workers=workers,
            drop_last=True,
            cache_images=False,
        )
        peers: dict[str, Iterable[object]] = {
            "torchvision v2": DataLoader(
                TorchvisionDataset(dataset.images, torchvision_transform(arguments.augmentation, side)),
                batch,
                shuffle=True,
                num_workers=workers,
                collate_fn=stack,
                drop_last=True,
                persistent_workers=workers > 0,
                prefetch_factor=4 if workers else None,
            ),
            "mobiledet": make(),
            "mobiledet, cached": make(disk_cache=training_cache(folder / "cache", side, side)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in peers}
        for epoch in range(arguments.epochs + 1):
            for name, batches in peers.items():
                taken = epoch_seconds(batches)
                if epoch:
                    seconds[name].append(taken)
    images = len(dataset.images) // batch * batch
    print(
        f"{arguments.augmentation} augmentation to {side} pixels, {images} images of {file_kb:.0f} kB, batch {batch}, "
        f"{workers} workers, torch {torch.__version__}, torchvision {torchvision.__version__}"
    )
    speeds = {name: images / statistics.median(samples) for name, samples in seconds.items()}
    for name, speed in speeds.items():
        print(f"{name:>18}: {speed:7.1f} images/s, {speed / speeds['torchvision v2']:.2f} times torchvision's")


if __name__ == "__main__":
    main()
