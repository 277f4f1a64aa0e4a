"""Training augmentation with albumentations: random crop, flip, colour, and the model's input size.

Evaluation uses ``images.resize`` alone.
"""

import os
import random
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import would ask the network for a newer version

import albumentations as A

MAX_TRIES = 10  # crops, until one keeps a box

Transform: TypeAlias = A.Compose
Boxes = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """Strength of the training augmentation; the defaults suit both the built-in shapes and real photographs."""

    crop_probability: float = 0.7
    """Share of images that are cropped; the others are stretched whole, as in evaluation."""
    crop_scale: tuple[float, float] = (0.4, 1.0)
    """Area of the crop as a share of the image."""
    crop_ratio: tuple[float, float] = (0.6, 1.67)
    """Width over height of the crop, before it is stretched to the input size."""
    min_visibility: float = 0.5
    """A box of which the crop keeps a smaller share is dropped; the others are cut to the crop."""
    min_side: float = 3.0
    """A box with a shorter side than this, in pixels after resizing, is dropped."""
    flip_probability: float = 0.5
    """Share of images that are mirrored left to right."""
    colour_probability: float = 0.7
    """Share of images whose colours change."""
    colour: float = 0.25
    """Brightness, contrast and saturation are scaled by up to 1 plus or minus this."""
    hue: float = 0.05
    """Hue turns by up to this share of the colour circle."""


def train_transform(height: int, width: int, augmentation: Augmentation | None = None) -> Transform:
    """The training augmentation; call it through ``augment``.

    Args:
        height, width: of the result, pixels.
        augmentation: its strength; None means the defaults.
    """
    options = augmentation or Augmentation()
    colour = (1 - options.colour, 1 + options.colour)
    crop = A.RandomResizedCrop(
        (height, width), scale=options.crop_scale, ratio=options.crop_ratio, p=options.crop_probability
    )
    whole = A.Resize(height, width, p=1 - options.crop_probability)
    return A.Compose(
        [
            A.OneOf([crop, whole], p=1.0),
            A.HorizontalFlip(p=options.flip_probability),
            A.ColorJitter(colour, colour, colour, (-options.hue, options.hue), p=options.colour_probability),
        ],
        bbox_params=A.BboxParams(
            format="pascal_voc",
            label_fields=["labels"],
            min_visibility=options.min_visibility,
            min_width=options.min_side,
            min_height=options.min_side,
            clip=True,
            # visibility must be judged once, against the original box
            check_each_transform=False,
        ),
    )


def augment(
    transform: Transform, image: NDArray[np.uint8], boxes_xyxy: Boxes, labels: Labels, seed: tuple[int, ...]
) -> tuple[NDArray[np.uint8], Boxes, Labels]:
    """Apply ``transform`` with random numbers that depend on ``seed`` alone.

    Args:
        transform: from ``train_transform``.
        image: H x W x 3, uint8.
        boxes_xyxy: N x 4, pixels of ``image``.
        labels: N.
        seed: not negative, such as (seed, epoch, index).

    Returns:
        the new image, and boxes (M x 4, pixels of the new image) and labels of the M <= N objects that are left: at
        least one, unless ``MAX_TRIES`` crops miss them all.
    """
    generator = np.random.default_rng(seed)
    # set_random_seed would give every step the same random numbers, so that a flip would go with certain crops
    transform.set_random_state(generator, random.Random(int(generator.integers(2**63))))
    for _ in range(MAX_TRIES):
        result = transform(image=image, bboxes=boxes_xyxy, labels=labels)
        if len(result["bboxes"]) or not len(boxes_xyxy):
            break
    boxes = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    return result["image"], boxes, np.asarray(result["labels"], np.int64)
