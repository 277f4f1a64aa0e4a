"""Training augmentation with albumentations: crops, zoom, flip, colour, and the model's input size.

Evaluation uses ``resize`` alone, by whose rule crops are stretched too. For a letterbox each crop is one: it keeps its
shape, and the padding comes last, so that it has its colour and its place as in evaluation.
"""

import os
import random
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.resize import padded
from mobiledet.data.views import (
    View,
    centres_inside,
    cropped_around_boxes,
    rescaled,
    stretch_view,
    whole_blocks,
    whole_pixels,
    zoomed_out,
)
from mobiledet.placement import Placement
from mobiledet.spec import PADDINGS, InputSpec

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import would ask the network for a newer version

import albumentations as A
from albumentations.core.type_definitions import Targets

MAX_TRIES = 10  # crops, until one keeps a box
FILL = (124, 116, 104)  # shown beyond a picture that is stretched; ImageNet's mean colour

Transform: TypeAlias = A.Compose
Boxes = NDArray[np.float32]
Labels = NDArray[np.int64]
Range = tuple[float, float]


@dataclass(frozen=True)
class Augmentation:
    """Strength of the training augmentation; the defaults suit both the built-in shapes and real photographs."""

    crop_probability: float = 0.7
    """Share of images that are cropped; of the others the whole is stretched, as in evaluation, or what the next five
    fields make of it."""
    crop_scale: Range = (0.4, 1.0)
    """Area of the crop as a share of the image."""
    crop_ratio: Range = (0.6, 1.67)
    """Width over height of the crop, before it becomes the input."""
    zoom_out_probability: float = 0.0
    """Share of images that are laid on a larger canvas of one colour, as SSD does."""
    zoom_out: float = 4.0
    """Sides of that canvas are 1 to this many times those of the image."""
    scale: Range = (1.0, 1.0)
    """Objects become larger by such a factor, about the middle of the image; NanoDet has 0.6 to 1.4."""
    stretch: Range = (1.0, 1.0)
    """Factor of each axis apart, on top of ``scale``."""
    shift: float = 0.0
    """The image moves by up to this share of its sides."""
    iou_crop_probability: float = 0.0
    """Share of images that SSD's crop is applied to; it overlaps some box by a random IoU. Boxes whose centre it leaves
    out are dropped."""
    min_visibility: float = 0.5
    """A box of which the crop keeps a smaller share is dropped; the others are cut to the crop."""
    min_side: float = 3.0
    """A box with a shorter side than this, in pixels after resizing, is dropped."""
    flip_probability: float = 0.5
    """Share of images that are mirrored left to right."""
    colour_probability: float = 0.7
    """Share of images whose brightness changes; and so for contrast, saturation and hue, each apart."""
    brightness: Range = (0.75, 1.25)
    """Factor of all colours."""
    contrast: Range = (0.75, 1.25)
    """Factor of the distance from the mean grey."""
    saturation: Range = (0.75, 1.25)
    """Factor of the distance from the pixel's grey."""
    hue: float = 0.05
    """Hue turns by up to this share of the colour circle."""
    channel_shuffle_probability: float = 0.0
    """Share of images whose colour channels trade places."""


def train_transform(spec: InputSpec, augmentation: Augmentation | None = None) -> Transform:
    """The training augmentation; call it through ``augment``.

    Args:
        spec: of the input that is its result.
        augmentation: its strength; None means the defaults.
    """
    options = augmentation or Augmentation()
    crop = FittedCrop(spec, options, p=options.crop_probability)
    view = FittedView(spec, options, p=1 - options.crop_probability)
    return A.Compose(
        [
            A.OneOf([crop, view], p=1.0),
            A.HorizontalFlip(p=options.flip_probability),
            *_colour_changes(options),
            A.ChannelShuffle(p=options.channel_shuffle_probability),
            *([Padded(spec, options.min_visibility)] if spec.resize == "letterbox" else []),
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


def _colour_changes(options: Augmentation) -> list[A.ColorJitter]:
    """SSD's photometric distortion; each change has its own chance."""
    still: dict[str, Range] = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
    changes: dict[str, Range] = {
        "brightness": options.brightness,
        "contrast": options.contrast,
        "saturation": options.saturation,
        "hue": (-options.hue, options.hue),
    }
    return [A.ColorJitter(**{**still, name: span}, p=options.colour_probability) for name, span in changes.items()]


class FittedCrop(A.RandomResizedCrop):
    """A crop of random area and shape, resized by the rule that devices follow; see ``FittedView``."""

    def __init__(self, spec: InputSpec, options: Augmentation, p: float = 1.0) -> None:
        super().__init__((spec.height, spec.width), scale=options.crop_scale, ratio=options.crop_ratio, p=p)
        self.spec = spec

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """The crop, in pixels, and its place in the input."""
        x0, y0, x1, y1 = super().get_params_dependent_on_data(params, data)["crop_coords"]
        placement = Placement.of(y1 - y0, x1 - x0, self.spec)
        view = whole_blocks(np.array((x0, y0, x1, y1), np.float64), placement.height, placement.width)
        return {"crop_coords": tuple(view.astype(int).tolist()), "placement": placement}

    def apply(
        self, img: NDArray[np.uint8], crop_coords: tuple[int, int, int, int], placement: Placement, **params: Any
    ) -> NDArray[np.uint8]:
        return stretch_view(img, np.array(crop_coords), placement.height, placement.width, _fill(self.spec))


class FittedView(A.DualTransform):
    """Zoom-out, change of scale and IoU crop, in this order, and the resize; of a letterbox without its padding."""

    _targets = (Targets.IMAGE, Targets.BBOXES)

    def __init__(self, spec: InputSpec, options: Augmentation, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.spec = spec
        self.options = options

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """The view, in pixels, its place in the input, and which boxes may stay.

        albumentations gives boxes as shares of the sides. What ``stretch`` does to a view changes no letterbox: the
        objects in it shall be stretched, so it is placed by the shape that it had.
        """
        options, rng = self.options, self.random_generator
        height, width = params["shape"][:2]
        boxes = data["bboxes"][:, :4] * np.array((width, height, width, height))
        view: View = np.array((0, 0, width, height), np.float64)
        shape = np.array((width, height), np.float64)
        kept = np.ones(len(boxes), bool)
        if rng.random() < options.zoom_out_probability:
            view = zoomed_out(rng, view, options.zoom_out)
        if (options.scale, options.stretch, options.shift) != ((1, 1), (1, 1), 0):
            view = rescaled(rng, view, options.scale, options.stretch, options.shift)
        if rng.random() < options.iou_crop_probability:
            whole = view
            view = cropped_around_boxes(rng, view, boxes)
            shape *= (view[2:] - view[:2]) / (whole[2:] - whole[:2])
            kept = centres_inside(view, boxes)
        placement = Placement.of(shape[1], shape[0], self.spec)
        view = whole_blocks(whole_pixels(view), placement.height, placement.width)
        return {"view": view, "placement": placement, "kept": kept}

    def apply(self, img: NDArray[np.uint8], view: View, placement: Placement, **params: Any) -> NDArray[np.uint8]:
        return stretch_view(img, view, placement.height, placement.width, _fill(self.spec))

    def apply_to_bboxes(
        self, bboxes: NDArray[np.float32], view: View, kept: NDArray[np.bool_], **params: Any
    ) -> NDArray[np.float32]:
        height, width = params["shape"][:2]
        shares = view / (width, height, width, height)
        seen = bboxes[kept]
        seen[:, :4] = (seen[:, :4] - np.tile(shares[:2], 2)) / np.tile(shares[2:] - shares[:2], 2)
        return seen


class Padded(A.DualTransform):
    """The padding of a letterbox around a picture that fills one side of it.

    Boxes are cut to the picture first, and dropped where less than ``min_visibility`` is left of them.
    """

    _targets = (Targets.IMAGE, Targets.BBOXES)

    def __init__(self, spec: InputSpec, min_visibility: float) -> None:
        super().__init__(p=1.0)
        self.spec = spec
        self.min_visibility = min_visibility

    def apply(self, img: NDArray[np.uint8], **params: Any) -> NDArray[np.uint8]:
        height, width = img.shape[:2]
        return padded(img, Placement.of(height, width, self.spec), self.spec)

    def apply_to_bboxes(self, bboxes: NDArray[np.float32], **params: Any) -> NDArray[np.float32]:
        height, width = params["shape"][:2]
        placement = Placement.of(height, width, self.spec)
        cut = np.clip(bboxes[:, :4], 0, 1)
        areas = [(boxes[:, 2:4] - boxes[:, :2]).clip(0).prod(axis=1) for boxes in (cut, bboxes)]
        kept = areas[0] >= self.min_visibility * areas[1]
        seen = bboxes[kept]
        whole = np.tile((placement.input_width, placement.input_height), 2)
        seen[:, :4] = placement.to_input(cut[kept] * (width, height, width, height)) / whole
        return seen


def _fill(spec: InputSpec) -> tuple[int, int, int]:
    """Shown beyond the picture."""
    return FILL if spec.resize == "stretch" else (PADDINGS[spec.padding],) * 3


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
