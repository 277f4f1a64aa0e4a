"""A Core ML detector on this machine, in the reference interpreter of MIL: correct results, meaningless times.

The interpreter runs in a process of its own, because it needs torch and coremltools.
"""

from importlib.util import find_spec
from pathlib import Path

from mobiledet.devices.served import ServedDetector
from mobiledet.errors import UserError

ACCELERATOR = "interpreter"
SERVER = "mobiledet.devices.coreml_process"


class CoreMlDetector(ServedDetector):
    """A detector whose package takes one raw RGB image.

    It returns boxes, classes, scores and count, or is the pipeline for Vision, which returns confidence and
    coordinates. See ``ServedDetector``.

    Raises:
        UserError: torch or coremltools is not installed, or the package cannot be loaded or is not such a detector.
    """

    accelerator = ACCELERATOR

    def __init__(self, path: Path, accelerator: str = "auto", threads: int = 1) -> None:
        missing = [name for name in ("torch", "coremltools") if find_spec(name) is None]
        if missing:
            raise UserError(f"{path} needs {missing[0]}, which is not installed: pip install 'mobiledet[coreml]'")
        super().__init__(path, accelerator, threads, SERVER, "the interpreter")
