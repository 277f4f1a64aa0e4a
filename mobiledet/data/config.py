"""Options for reading data, shared by several commands. Imports nothing heavy, so that their help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mobiledet.errors import UserError
from mobiledet.spec import Corner, Padding, Resize

OnBadData = Literal["error", "skip"]
Exif = Literal["auto", "apply", "ignore"]
DataFormat = Literal["auto", "coco", "roboflow", "yolo", "voc"]
SplitBy = Literal["picture", "folder", "prefix"]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How a data set's folder is read: the same options in every command that reads one."""

    data_format: DataFormat = "auto"
    """Layout of the data set. coco: annotations/*.json beside folders of images; roboflow: train/, valid/ and test/,
    each with a _annotations.coco.json; yolo: data.yaml, and images/ beside labels/; voc: Annotations, JPEGImages and
    ImageSets/Main, or XML files beside images; auto: detect the layout, and print it if several are possible."""
    train_set: str = ""
    """Name of the training split in the data set, such as trainval; by default train."""
    val_set: str = ""
    """Name of the validation split in the data set, such as test; by default val, valid or validation."""
    val_share: float = 0.0
    """For a data set without a validation split: the fraction of the training images to hold out for validation, such
    as 0.2."""
    split_seed: int = 0
    """Random seed of --val-share; the same seed holds out the same images."""
    split_by: SplitBy = "picture"
    """Images that --val-share must not separate, such as the frames of one video. picture: none, images are chosen one
    by one; folder: images in the same folder; prefix: images whose file names differ only in the last number."""
    on_bad_data: OnBadData = "error"
    """What to do with bad images and annotations. error: stop at the first one; skip: leave them out, count and list
    them."""


@dataclass(frozen=True, kw_only=True)
class ResizeOptions:
    """How an image is resized to the model's input: the same options in every command that chooses it."""

    resize: Resize = "stretch"
    """How images are fitted to the input. stretch: both sides are scaled to the input's, which gives objects the most
    pixels; letterbox: the image keeps its aspect ratio and the rest of the input is filled, which suits objects that
    differ by their shape, and images of many aspect ratios. The choice is stored in the bundle; apps, predict and
    evaluate follow it."""
    letterbox_fill: Padding = "grey"
    """Fill colour of --resize letterbox: grey (114) or black."""
    letterbox_place: Corner = "centre"
    """Position of the image with --resize letterbox: in the centre, or top-left."""

    def input_rule(self) -> dict[str, Any]:
        """The fields of ``InputSpec`` that these options set.

        Raises:
            UserError: a letterbox option was given, but images are stretched.
        """
        rule = {"padding": self.letterbox_fill, "placement": self.letterbox_place}
        if self.resize == "stretch":
            for option, value, default in (
                ("fill", self.letterbox_fill, ResizeOptions.letterbox_fill),
                ("place", self.letterbox_place, ResizeOptions.letterbox_place),
            ):
                if value != default:
                    raise UserError(f"--letterbox-{option} {value} needs --resize letterbox; a stretch fills nothing")
        return {"resize": self.resize, **rule}


@dataclass(frozen=True)
class ShapesConfig:
    """Write the built-in synthetic data set: images of coloured shapes, in COCO's folder layout."""

    out: Path
    """Folder to write, with annotations/, train2017/ and val2017/ as in COCO."""
    train: int = 2000
    """Number of training images."""
    val: int = 200
    """Number of held-out validation images."""
    seed: int = 0
    """Random seed; the same seed gives the same files, byte for byte."""
    overwrite: bool = False
    """Replace the folder if it is empty or holds an earlier shapes data set."""
