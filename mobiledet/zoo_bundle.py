"""Bundles of published detectors, made in the cache on first use, and ``mobiledet predict`` with their names."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from mobiledet import __version__
from mobiledet.bundle import SUFFIX, open_bundle
from mobiledet.errors import UserError
from mobiledet.evaluation import predict as prediction
from mobiledet.evaluation.config import PredictConfig
from mobiledet.files.cache import cache_folder
from mobiledet.zoo.catalogue import ZOO
from mobiledet.zoo.checkpoints import print_progress, zoo_checkpoint


def predict(config: PredictConfig) -> int | None:
    """The command ``mobiledet predict``; returns its exit status."""
    return prediction.run(dataclasses.replace(config, bundle=find_bundle(config.bundle, print_progress)))


def find_bundle(given: Path, on_progress: Callable[[str], None] = lambda line: None) -> Path:
    """The path of a bundle, which may be given by the name of a published detector.

    Args:
        given: a path, or a name in ``ZOO``; an existing file or folder takes precedence over a name.
        on_progress: called with a line of text for each step.

    Raises:
        UserError: the detector cannot be downloaded or exported.
    """
    return given if given.exists() or str(given) not in ZOO else zoo_bundle(str(given), on_progress)


def zoo_bundle(name: str, on_progress: Callable[[str], None] = lambda line: None) -> Path:
    """The bundle of a published detector in the cache; it is imported and exported on first use.

    Args:
        name: a name in ``ZOO``.
        on_progress: called with a line of text for each step.

    Raises:
        UserError: its weights cannot be downloaded, or the export fails.
    """
    out = cache_folder() / "zoo" / "bundles" / f"{name.replace(':', '-')}-{__version__}{SUFFIX}"
    if out.exists():
        try:
            open_bundle(out)
            return out
        except UserError as error:
            on_progress(f"made again: {error}")
    from mobiledet_converters.config import ExportConfig
    from mobiledet_converters.export import export

    checkpoint = zoo_checkpoint(name, on_progress)
    on_progress(f"{name} is exported once, into {out}")
    out.parent.mkdir(parents=True, exist_ok=True)
    # precisions that need no calibration images
    export(ExportConfig(checkpoint, out, formats=("tflite",), precisions=("float32", "float16"), overwrite=True))
    return out
