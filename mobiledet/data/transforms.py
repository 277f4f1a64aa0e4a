"""Training augmentation with albumentations: crops, zoom, flip, colour changes, and resizing to the model's input.

Crops are resized by the same rule as whole images in evaluation (``resize``). With a letterbox each crop keeps its
aspect ratio, and the padding is added last, so that it has the same colour and position as in evaluation.
"""

import os
import random
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.resize import pad_to_input
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

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise its import looks for a newer version online

import albumentations as A
from albumentations.core.type_definitions import Targets

MAX_TRIES = 10  # number of crops to try until one keeps a box
FILL = (124, 116, 104)  # colour outside the image, without a letterbox: the mean colour of ImageNet

Transform: TypeAlias = A.Compose
Boxes = NDArray[np.float32]
Labels = NDArray[np.int64]
Range = tuple[float, float]


@dataclass(frozen=True)
class Augmentation:
    """Strength of the training augmentation; the defaults suit both the built-in shapes and real photographs."""

    crop_probability: float = 0.7
    """Probability of a random crop. Images that are not cropped are only resized, as in evaluation, or changed by zoom
    out, scale, stretch, shift and IoU crop."""
    crop_scale: Range = (0.4, 1.0)
    """Area of the crop as a fraction of the image's."""
    crop_ratio: Range = (0.6, 1.67)
    """Aspect ratio of the crop, width over height, before it is resized."""
    zoom_out_probability: float = 0.0
    """Probability that the image is placed on a larger canvas of one colour, as in SSD."""
    zoom_out: float = 4.0
    """Largest ratio of the sides of that canvas to the image's; the smallest is 1."""
    scale: Range = (1.0, 1.0)
    """Factor by which the image is magnified about its centre; NanoDet uses 0.6 to 1.4."""
    stretch: Range = (1.0, 1.0)
    """Additional factor for each axis separately."""
    shift: float = 0.0
    """Largest translation, as a fraction of the image's sides."""
    iou_crop_probability: float = 0.0
    """Probability of SSD's crop, which overlaps some box with a random minimum IoU. Boxes whose centre is outside the
    crop are dropped."""
    min_visibility: float = 0.5
    """A box is dropped if a smaller fraction of its area remains in the crop; other boxes are clipped to the crop."""
    min_side: float = 3.0
    """A box with a shorter side than this, in pixels after resizing, is dropped."""
    flip_probability: float = 0.5
    """Probability of a horizontal flip."""
    colour_probability: float = 0.7
    """Probability of a change of brightness; the same, independently, for contrast, saturation and hue."""
    brightness: Range = (0.75, 1.25)
    """Factor of all pixel values."""
    contrast: Range = (0.75, 1.25)
    """Factor of the difference from the mean grey of the image."""
    saturation: Range = (0.75, 1.25)
    """Factor of the difference from the grey value of the pixel."""
    hue: float = 0.05
    """Largest rotation of the hue, as a fraction of the colour circle."""
    channel_shuffle_probability: float = 0.0
    """Probability that the colour channels are permuted."""


def train_transform(spec: InputSpec, augmentation: Augmentation | None = None) -> Transform:
    """The training augmentation; call it through ``augment``.

    Args:
        spec: description of the input that it produces.
        augmentation: its strength; None uses the defaults.
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
            # visibility must be checked only once, against the original box
            check_each_transform=False,
        ),
    )


def _colour_changes(options: Augmentation) -> list[A.ColorJitter]:
    """SSD's photometric distortion; each change is applied independently."""
    still: dict[str, Range] = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
    changes: dict[str, Range] = {
        "brightness": options.brightness,
        "contrast": options.contrast,
        "saturation": options.saturation,
        "hue": (-options.hue, options.hue),
    }
    return [A.ColorJitter(**{**still, name: span}, p=options.colour_probability) for name, span in changes.items()]


class FittedCrop(A.RandomResizedCrop):
    """A crop of random area and aspect ratio, resized by the rule that devices follow; see ``FittedView``."""

    def __init__(self, spec: InputSpec, options: Augmentation, p: float = 1.0) -> None:
        super().__init__((spec.height, spec.width), scale=options.crop_scale, ratio=options.crop_ratio, p=p)
        self.spec = spec

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """The crop in pixels, and its placement in the input."""
        x0, y0, x1, y1 = super().get_params_dependent_on_data(params, data)["crop_coords"]
        placement = Placement.of(y1 - y0, x1 - x0, self.spec)
        view = whole_blocks(np.array((x0, y0, x1, y1), np.float64), placement.height, placement.width)
        return {"crop_coords": tuple(view.astype(int).tolist()), "placement": placement}

    def apply(
        self, img: NDArray[np.uint8], crop_coords: tuple[int, int, int, int], placement: Placement, **params: Any
    ) -> NDArray[np.uint8]:
        """Crop and resize the image, H x W x 3."""
        return stretch_view(img, np.array(crop_coords), placement.height, placement.width, _fill(self.spec))


class FittedView(A.DualTransform):
    """Zoom out, scale and IoU crop, in this order, then the resize; with a letterbox still without its padding."""

    _targets = (Targets.IMAGE, Targets.BBOXES)

    def __init__(self, spec: InputSpec, options: Augmentation, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.spec = spec
        self.options = options

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """The view in pixels, its placement in the input, and which boxes are kept.

        albumentations gives boxes in fractions of the sides. With a letterbox a stretched view is placed by the aspect
        ratio it had before, because otherwise the letterbox would undo the stretch.
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
        """Crop and resize the image, H x W x 3."""
        return stretch_view(img, view, placement.height, placement.width, _fill(self.spec))

    def apply_to_bboxes(
        self, bboxes: NDArray[np.float32], view: View, kept: NDArray[np.bool_], **params: Any
    ) -> NDArray[np.float32]:
        """Boxes as fractions of the image, K x (4 + fields), to fractions of the view; only the kept ones."""
        height, width = params["shape"][:2]
        shares = view / (width, height, width, height)
        seen = bboxes[kept]
        seen[:, :4] = (seen[:, :4] - np.tile(shares[:2], 2)) / np.tile(shares[2:] - shares[:2], 2)
        return seen


class Padded(A.DualTransform):
    """Adds the padding of a letterbox to an image.

    Boxes are first clipped to the image, and dropped if less than ``min_visibility`` of their area remains.
    """

    _targets = (Targets.IMAGE, Targets.BBOXES)

    def __init__(self, spec: InputSpec, min_visibility: float) -> None:
        super().__init__(p=1.0)
        self.spec = spec
        self.min_visibility = min_visibility

    def apply(self, img: NDArray[np.uint8], **params: Any) -> NDArray[np.uint8]:
        """Pad the image, H x W x 3, to the size of the input."""
        height, width = img.shape[:2]
        return pad_to_input(img, Placement.of(height, width, self.spec), self.spec)

    def apply_to_bboxes(self, bboxes: NDArray[np.float32], **params: Any) -> NDArray[np.float32]:
        """Boxes, K x (4 + fields), in fractions of the image to fractions of the input, without hardly visible ones."""
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
    """The colour outside the image."""
    return FILL if spec.resize == "stretch" else (PADDINGS[spec.padding],) * 3


def augment(
    transform: Transform, image: NDArray[np.uint8], boxes_xyxy: Boxes, labels: Labels, seed: tuple[int, ...]
) -> tuple[NDArray[np.uint8], Boxes, Labels]:
    """Apply ``transform`` with random numbers that depend only on ``seed``.

    Args:
        transform: from ``train_transform``.
        image: H x W x 3, uint8.
        boxes_xyxy: N x 4, pixels of ``image``.
        labels: N.
        seed: not negative, such as (seed, epoch, index).

    Returns:
        the new image, and boxes (M x 4, pixels of the new image) and labels of the M <= N remaining objects: at least
        one, unless ``MAX_TRIES`` crops contain none.
    """
    generator = np.random.default_rng(seed)
    # set_random_seed would give every step the same random numbers, so that flips would be correlated with crops
    transform.set_random_state(generator, random.Random(int(generator.integers(2**63))))
    for _ in range(MAX_TRIES):
        result = transform(image=image, bboxes=boxes_xyxy, labels=labels)
        if len(result["bboxes"]) or not len(boxes_xyxy):
            break
    boxes = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    return result["image"], boxes, np.asarray(result["labels"], np.int64)
