"""Checkpoints of published detectors, made in the cache on first use."""

import sys
from collections.abc import Callable
from pathlib import Path

from mobiledet import __version__
from mobiledet.errors import UserError
from mobiledet.files.cache import cache_folder
from mobiledet.zoo.catalogue import ZOO

OnStep = Callable[[str], None]


def print_progress(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr)


def find_checkpoint(given: Path, on_step: OnStep = lambda line: None) -> Path:
    """The path of a checkpoint, which may be given by the name of a published detector.

    Args:
        given: a path, or a name in ``ZOO``; an existing file takes precedence over a name.
        on_step: called with a line of text for each step of an import.

    Raises:
        UserError: there is no such file or name, or the detector cannot be downloaded or imported.
    """
    if given.exists():
        return given
    if str(given) in ZOO:
        return zoo_checkpoint(str(given), on_step)
    raise UserError(f"no checkpoint at {given}, and no published detector has that name; `mobiledet zoo` lists them")


def zoo_checkpoint(name: str, on_step: OnStep = lambda line: None) -> Path:
    """The checkpoint of a published detector in the cache; it is imported on first use.

    Args:
        name: a name in ``ZOO``.
        on_step: called with a line of text for each step.

    Raises:
        UserError: its weights cannot be downloaded or imported.
    """
    out = cache_folder() / "zoo" / "checkpoints" / f"{name.replace(':', '-')}-{__version__}.ckpt"
    if not out.exists():
        from mobiledet.zoo.config import ImportConfig
        from mobiledet.zoo.importing import import_detector  # loads torch

        on_step(f"{name} is imported once, into {out}")
        out.parent.mkdir(parents=True, exist_ok=True)
        import_detector(ImportConfig(name, out, overwrite=True), on_step)  # another process may be faster
    return out
