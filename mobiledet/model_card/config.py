"""Options of the command card. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class CardConfig:
    """Write the model card of a bundle, as Markdown and as an HTML page.

    The card describes the origin and licence of weights, classes and data; the accuracy of every file; how, on which
    kernels and at which score thresholds it was checked; the latency on each device; and what is unknown. Nothing is
    invented: missing information is marked as not recorded or not measured. `mobiledet export` writes a first card
    beside each bundle; results of `mobiledet evaluate` add mAP by object size and class, and latency by device.

    For example:
      mobiledet card x.mobiledet
      mobiledet card x.mobiledet --results results --out docs/x.md
    """

    bundle: Positional[Path]
    """The bundle that `mobiledet export` wrote: a folder NAME.mobiledet or a zip of it."""

    results: tuple[Path, ...] = ()
    """Results of `mobiledet evaluate` for files of this bundle, or folders that contain them. Results of other bundles
    are ignored and reported."""
    out: Path | None = None
    """Markdown file to write; by default NAME.card.md beside the bundle. The HTML page is written beside it, with the
    suffix .html. Existing files are replaced."""
