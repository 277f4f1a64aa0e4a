"""Options of the commands for published detectors. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from mobiledet.data.config import ResizeOptions


@dataclass(frozen=True)
class ZooConfig:
    """List the published detectors that `mobiledet import` and `mobiledet predict` know by name.

    The table shows input size, multiply-adds for an image of that size, published mAP, licence and source.

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

    The checkpoint can be used like any other: with `mobiledet export`, `mobiledet train --init` for other classes,
    `--qat`, `mobiledet sweep`. Every tensor of the file must be accounted for. Without --weights the file is
    downloaded, checked against the checksum that its source publishes, and kept in the cache.

    For example:
      mobiledet import ssdlite320_mobilenet_v3_large --out ssdlite.ckpt
      mobiledet import tf:ssdlite_mobilenet_v2 --weights frozen_inference_graph.pb --labels person --out people.ckpt
      mobiledet export ssdlite.ckpt
    """

    name: Positional[str]
    """Name of the detector; `mobiledet zoo` lists all."""
    out: Path
    """Checkpoint to write."""
    weights: Path | None = None
    """Local file to read instead of downloading one: the published weights, or weights of the same network for other
    classes. A state dict; for detectors named `tf:` a frozen graph, a saved model or the archive of TensorFlow's
    detection zoo."""
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of the weights; by default COCO's 80."""
    image_size: tuple[int | str, ...] = ()
    """Input size: the side of a square image in pixels, or height x width, such as 192x320; by default that of the
    published detector."""
    overwrite: bool = False
    """Replace the checkpoint if it exists."""
