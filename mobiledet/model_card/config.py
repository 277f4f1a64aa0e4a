"""Options of the command card. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class CardConfig:
    """Write a bundle's model card, for people: Markdown, and a page beside it.

    It tells where weights, classes and data come from and under which licence, how well every file detects, how it was
    checked, on which kernels, at which scores, how fast it is on which device, and what is not known. Nothing is
    invented: what no file says stands there as not recorded or not measured. `mobiledet export` writes a first card
    beside each bundle; results of `mobiledet evaluate` add mAP by size and class, and latency by device.

    For example:
      mobiledet card x.mobiledet
      mobiledet card x.mobiledet --results results --out docs/x.md
    """

    bundle: Positional[Path]
    """The bundle that `mobiledet export` wrote: a folder NAME.mobiledet or a zip of it."""

    results: tuple[Path, ...] = ()
    """Results of `mobiledet evaluate` of its files, or folders of them; those of other bundles are left out, and
    told."""
    out: Path | None = None
    """The Markdown file; by default NAME.card.md beside the bundle. The page lies beside it, with the suffix .html. Old
    ones are replaced."""
