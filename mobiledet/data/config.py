"""Options of the data commands. Imports nothing heavy, so that the command line's help is quick."""

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
    """How a data set's folder is read; the same options in every command that reads one."""

    data_format: DataFormat = "auto"
    """How --data is laid out: coco (annotations/*.json beside folders of pictures), roboflow (train/, valid/, test/,
    each with a _annotations.coco.json), yolo (data.yaml; images/ beside labels/), voc (Annotations, JPEGImages and
    ImageSets/Main, or XML files beside pictures); auto looks for itself and says what it took where there is a
    choice."""
    train_set: str = ""
    """Name of the training part in --data, such as trainval; by default train."""
    val_set: str = ""
    """Name of the validation part in --data, such as test; by default val, valid or validation."""
    val_share: float = 0.0
    """For a set without a validation part: the share of the training part that is kept apart for it, such as 0.2."""
    split_seed: int = 0
    """Of --val-share: the same seed keeps the same pictures apart."""
    split_by: SplitBy = "picture"
    """What --val-share keeps together: nothing (picture), the pictures of a folder, or those whose file names begin
    alike up to a last number (prefix), so that frames of one video do not stand on both sides."""
    on_bad_data: OnBadData = "error"
    """error: the first bad image or annotation stops the command; skip: bad ones are left out, counted and listed."""


@dataclass(frozen=True, kw_only=True)
class ResizeOptions:
    """How a picture becomes the model's input; the same options in every command that chooses it."""

    resize: Resize = "stretch"
    """stretch: each side of a picture is scaled to that of the input; letterbox: the picture keeps its shape, and what
    is left of the input is filled. A letterbox suits objects whose shape tells them apart and pictures of many shapes,
    a stretch gives objects more pixels. It goes into the bundle; apps, predict and evaluate follow it."""
    letterbox_fill: Padding = "grey"
    """Colour of what is filled: grey (114) or black."""
    letterbox_place: Corner = "centre"
    """Where the picture lies: in the centre, or top-left."""

    def input_rule(self) -> dict[str, Any]:
        """The fields of ``InputSpec`` that these options set.

        Raises:
            UserError: one is given that a stretch would ignore.
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
    """Write the built-in synthetic data set: pictures of shapes, in COCO's folder layout."""

    out: Path
    """Folder to write; it gets annotations/, train2017/ and val2017/ like COCO's own."""
    train: int = 2000
    """Number of training images."""
    val: int = 200
    """Number of held-out validation images."""
    seed: int = 0
    """The same seed gives the same files, byte for byte."""
    overwrite: bool = False
    """Replace the folder if it is empty or an earlier shapes set."""
