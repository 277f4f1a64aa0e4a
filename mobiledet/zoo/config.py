"""Options of the commands for published detectors. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from mobiledet.data.config import ResizeOptions


@dataclass(frozen=True)
class ZooConfig:
    """List published detectors that `mobiledet import` and `mobiledet predict` know by name: size, multiply-adds for an
    image of their size, published mAP, licence and source.

    For example:
      mobiledet zoo
      mobiledet import ssdlite320_mobilenet_v3_large --out ssdlite.ckpt
      mobiledet predict ssdlite320_mobilenet_v3_large photo.jpg
    """

    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class ImportConfig(ResizeOptions):
    """Turn a published detector's weights into a checkpoint like those of `mobiledet train`.

    It serves wherever a checkpoint does: `mobiledet export`, `mobiledet train --init` for other classes, `--qat`,
    `mobiledet sweep`. Every tensor of the file is accounted for. Without --weights the file is fetched, checked against
    the digest that its source publishes, and kept in the cache.

    For example:
      mobiledet import ssdlite320_mobilenet_v3_large --out ssdlite.ckpt
      mobiledet import tf:ssdlite_mobilenet_v2 --weights frozen_inference_graph.pb --labels person --out people.ckpt
      mobiledet export ssdlite.ckpt
    """

    name: Positional[str]
    """Of the detector; `mobiledet zoo` lists them."""
    out: Path
    """The checkpoint to write."""
    weights: Path | None = None
    """The published file, or one of the same network that was trained on other classes: a state dict, for `tf:` a
    frozen graph, a saved model or the archive of the detection zoo. Nothing is fetched then."""
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of the file; by default COCO's 80."""
    image_size: tuple[int | str, ...] = ()
    """Side of the square image in pixels, or height x width, such as 192x320; by default that of the published
    detector."""
    overwrite: bool = False
    """Replace the checkpoint if it exists."""
