"""Options of the commands data and convert-data. Imports nothing heavy, so that their help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from mobiledet.data.config import DataOptions, Exif, OnBadData, ResizeOptions


@dataclass(frozen=True, kw_only=True)
class DataConfig(ResizeOptions, DataOptions):
    """Show what is in a data set and what is wrong with it, on one page that needs no other file.

    Counts by class and part, sizes of boxes after the resize against a detector's strides and anchors, pictures and
    their shapes, copies and near copies within and across the parts, suspicious labels with pictures of them, and
    advice.

    For example:
      mobiledet data /data/coco
      mobiledet data blood_cells --train-set trainval --val-set test --image-size 416
      mobiledet data export --data-format yolo --json > export.json
    """

    data: Positional[str]
    """A folder of annotated images (see --data-format), or `shapes` for the built-in set."""
    out: Path | None = None
    """The page; by default NAME.data.html in this folder. An old one is replaced."""
    json: bool = False
    """Print everything as JSON instead of a table."""
    detector: str = "ssdlite_fpn"
    """Whose anchors and strides the boxes are held against."""
    backbone: str = "shufflenet_v2_1x"
    """Of that detector."""
    image_size: int | str = 320
    """Side of the square input in pixels, or height x width, such as 192x320."""
    pixels: bool = True
    """Decode every picture, to find damaged ones, copies and near copies."""
    exif: Exif = "auto"
    """Whether pictures are turned as their EXIF orientation says: apply, ignore, or unless the size in the annotations
    is that of the stored pixels alone (auto)."""
    on_bad_data: OnBadData = "skip"
    """skip: bad images and annotations are counted and listed; error: the first one stops the command."""


@dataclass(frozen=True, kw_only=True)
class ConvertConfig(DataOptions):
    """Write a data set in another format: COCO's folders, YOLO's or Pascal VOC's.

    Pictures are linked or copied; the boxes are those that training would see. What a format cannot hold is counted.

    For example:
      mobiledet convert-data VOCdevkit/VOC2012 --to coco voc2012-coco
      mobiledet convert-data export --to yolo export-yolo --val-share 0.2
    """

    source: Positional[str]
    """A folder of annotated images (see --data-format), or `shapes` for the built-in set."""
    out: Positional[Path]
    """Folder to write; it appears whole or not at all."""
    to: Literal["coco", "yolo", "voc"] = "coco"
    """Format to write."""
    link: bool = False
    """Link to the pictures by symbolic links instead of copying them."""
    overwrite: bool = False
    """Replace the folder if an earlier convert-data wrote it."""
    exif: Exif = "auto"
    """See `mobiledet train --help`."""
