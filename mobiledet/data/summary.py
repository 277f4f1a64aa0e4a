"""A short description of a data set, which training prints at the start. Imports no torch."""

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.dataset import DetectionSet, some
from mobiledet.placement import Placement
from mobiledet.spec import InputSpec

SIDES = (3, 8, 16)  # pixels; boxes with a shorter side below each of these are counted


def describe(dataset: DetectionSet) -> str:
    """Numbers of images, boxes and classes in one line."""
    empty = sum(not len(image.labels) for image in dataset.images)
    parts = [
        f"{len(dataset.images):,} images",
        f"{sum(dataset.objects):,} boxes of {sum(map(bool, dataset.objects))} of {len(dataset.labels)} classes",
        f"{empty:,} images without boxes",
    ]
    if dataset.crowds:
        parts.append(f"{dataset.crowds:,} crowd boxes, neither trained on nor scored")
    return ", ".join(parts)


def shorter_sides(dataset: DetectionSet, spec: InputSpec) -> NDArray[np.float64]:
    """The shorter side of each box, without crowds, in pixels of a model's input."""
    sides = [
        (image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]) * Placement.of(image.height, image.width, spec).scale
        for image in dataset.images
    ]
    return np.concatenate(sides).min(axis=1) if sides else np.zeros(0)


def describe_sizes(sides: NDArray[np.float64], spec: InputSpec) -> str:
    """The sizes of boxes in pixels of a model's input, in one line."""
    below = ", ".join(f"{np.mean(sides < side):.1%} below {side}" for side in SIDES)
    return f"shorter sides of boxes at {spec.height} x {spec.width}: median {np.median(sides):.0f} pixels, {below}"


def class_warnings(train_set: DetectionSet, val_set: DetectionSet) -> list[str]:
    """Warnings about classes without training or validation boxes."""
    warnings = []
    unlearnt = [name for name, count in zip(train_set.labels, train_set.objects, strict=True) if not count]
    if unlearnt:
        warnings.append(f"{len(unlearnt)} classes have no training box and cannot be learned: {some(unlearnt)}")
    unscored = [name for name, count in zip(val_set.labels, val_set.objects, strict=True) if not count]
    if len(unscored) == len(val_set.labels):
        warnings.append(
            f"the {len(val_set.images)} validation images have no boxes: there will be no mAP, and best.ckpt is the "
            "newest checkpoint; give annotated images, or --val-share"
        )
    elif unscored:
        warnings.append(f"{len(unscored)} classes have no validation box and will have no AP: {some(unscored)}")
    return warnings
