"""Options of the commands data and convert-data. Imports nothing heavy, so that their help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from mobiledet.data.config import DataOptions, Exif, OnBadData, ResizeOptions


@dataclass(frozen=True, kw_only=True)
class DataConfig(ResizeOptions, DataOptions):
    """Show what is in a data set and what is wrong with it, on one self-contained HTML page.

    The page shows counts per class and split, the sizes of boxes after resizing compared with a detector's strides and
    anchors, the sizes and aspect ratios of images, duplicates and near duplicates within and across the splits,
    suspicious labels with their images, and advice.

    For example:
      mobiledet data /data/coco
      mobiledet data blood_cells --train-set trainval --val-set test --image-size 416
      mobiledet data export --data-format yolo --json > export.json
    """

    data: Positional[str]
    """A folder of annotated images (see --data-format), or `shapes` for the built-in data set."""
    out: Path | None = None
    """HTML file to write; by default NAME.data.html in the current folder. An existing file is replaced."""
    json: bool = False
    """Print everything as JSON instead of a table."""
    detector: str = "ssdlite_fpn"
    """Detector whose anchors and strides the boxes are compared with."""
    backbone: str = "shufflenet_v2_1x"
    """Backbone of --detector."""
    image_size: int | str = 320
    """Side of the square input in pixels, or height x width, such as 192x320."""
    pixels: bool = True
    """Decode every image, to find damaged images, duplicates and near duplicates."""
    exif: Exif = "auto"
    """Whether images are rotated according to their EXIF orientation. apply: always; ignore: never; auto: yes, unless
    the size in the annotations matches only the stored pixels."""
    on_bad_data: OnBadData = "skip"
    """What to do with bad images and annotations. skip: count and list them; error: stop at the first one."""


@dataclass(frozen=True, kw_only=True)
class ConvertConfig(DataOptions):
    """Convert a data set to the format of COCO, YOLO or Pascal VOC.

    Images are copied or linked. The boxes written are those that training would use. Annotations that the format cannot
    represent are counted.

    For example:
      mobiledet convert-data VOCdevkit/VOC2012 --to coco voc2012-coco
      mobiledet convert-data export --to yolo export-yolo --val-share 0.2
    """

    source: Positional[str]
    """A folder of annotated images (see --data-format), or `shapes` for the built-in data set."""
    out: Positional[Path]
    """Folder to write. If the conversion fails, nothing is left behind."""
    to: Literal["coco", "yolo", "voc"] = "coco"
    """Format to write."""
    link: bool = False
    """Make symbolic links to the images instead of copying them."""
    overwrite: bool = False
    """Replace the folder if an earlier convert-data wrote it."""
    exif: Exif = "auto"
    """Whether boxes refer to images rotated according to their EXIF orientation. apply: always; ignore: never; auto:
    yes, unless the size in the annotations matches only the stored pixels."""
