"""Options of the data commands. Imports nothing heavy, so that the command line's help is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OnBadData = Literal["error", "skip"]


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
