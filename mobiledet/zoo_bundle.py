"""From a published detector's name to a bundle in the cache, and ``mobiledet predict`` with such a name."""

import dataclasses
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from mobiledet import __version__
from mobiledet.bundle import SUFFIX, open_bundle
from mobiledet.errors import UserError
from mobiledet.evaluation import predict as prediction
from mobiledet.evaluation.config import PredictConfig
from mobiledet.files.cache import cache_folder
from mobiledet.zoo.catalogue import ZOO


def tell(line: str) -> None:
    """Print on standard error."""
    print(line, file=sys.stderr)


def predict(config: PredictConfig) -> int | None:
    """The command ``mobiledet predict``; returns its exit status."""
    return prediction.run(dataclasses.replace(config, bundle=find_bundle(config.bundle, tell)))


def find_bundle(given: Path, tell: Callable[[str], None] = lambda line: None) -> Path:
    """A bundle's path, or that of a published detector's bundle.

    Args:
        given: a path, or a name of ``ZOO``; a file or folder wins over a name.
        tell: is told what is done.

    Raises:
        UserError: the detector cannot be had.
    """
    return given if given.exists() or str(given) not in ZOO else zoo_bundle(str(given), tell)


def zoo_bundle(name: str, tell: Callable[[str], None] = lambda line: None) -> Path:
    """The bundle of a published detector in the cache; imported and exported the first time.

    Args:
        name: of ``ZOO``.
        tell: is told what is done.

    Raises:
        UserError: its weights cannot be fetched, or the export fails.
    """
    out = cache_folder() / "zoo" / "bundles" / f"{name.replace(':', '-')}-{__version__}{SUFFIX}"
    if out.exists():
        try:
            open_bundle(out)
            return out
        except UserError as error:
            tell(f"made again: {error}")
    from mobiledet.zoo.config import ImportConfig
    from mobiledet.zoo.importing import import_detector
    from mobiledet_converters.config import ExportConfig
    from mobiledet_converters.export import export

    tell(f"{name} is imported and exported once, into {out}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mobiledet-zoo-") as folder:
        checkpoint = Path(folder) / "detector.ckpt"
        import_detector(ImportConfig(name, checkpoint), tell)
        # precisions that need no images to calibrate with
        export(ExportConfig(checkpoint, out, formats=("tflite",), precisions=("float32", "float16"), overwrite=True))
    return out
