"""A Core ML detector on this machine, in the reference interpreter of MIL: right results, meaningless times.

The interpreter needs torch and coremltools, which are not loaded here: it runs in a process of its own.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np

from mobiledet.detections import Detections
from mobiledet.devices.array_stream import receive, send
from mobiledet.devices.outputs import VISION_OUTPUTS, to_detections
from mobiledet.errors import UserError, unknown_name
from mobiledet.spec import OUTPUTS

ACCELERATOR = "interpreter"
SERVER = "mobiledet_converters.coreml.interpreter.serve"
# Threads that wait sleep: where others use the cores too, the usual spinning makes a run ten times as long.
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}


class CoreMlDetector:
    """A detector whose package takes one raw RGB image and gives boxes, classes, scores and count, or is the pipeline
    for Vision that gives confidence and coordinates.

    Args:
        path: the .mlpackage.
        accelerator: ``auto`` or ``interpreter``, the only one.
        threads: of the processor, at least 1.

    Attributes:
        height, width: of the image, in pixels.
        accelerator: ``interpreter``.
        delegated_share: None; nothing else takes part.

    Raises:
        UserError: unknown accelerator, torch or coremltools is not installed, or a package that the interpreter cannot
            load or that is no such detector.
    """

    delegated_share: float | None = None
    accelerator = ACCELERATOR

    def __init__(self, path: Path, accelerator: str = "auto", threads: int = 1) -> None:
        if accelerator not in ("auto", ACCELERATOR):
            raise unknown_name("accelerator", accelerator, ("auto", ACCELERATOR))
        missing = [name for name in ("torch", "coremltools") if find_spec(name) is None]
        if missing:
            raise UserError(f"{path} needs {missing[0]}, not installed: pip install 'mobiledet[train,coreml]'")
        self._path = path
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", SERVER, str(path), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **ENVIRONMENT},
        )
        weakref.finalize(self, _end, self._process, self._log)
        hello = self._answer()
        self.height, self.width = (int(side) for side in hello["size"])
        self._request: dict[str, np.ndarray] = {}
        self._outputs: dict[str, np.ndarray] = {}

    def set_input(self, image: np.ndarray) -> None:
        """Take an image of the model's size, height x width x 3 uint8 RGB."""
        self._request = {"image": image}

    def invoke(self) -> None:
        """Run the program on the input.

        Raises:
            UserError: the interpreter fails.
        """
        self._outputs = self._ask(**self._request)

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """What the last run found; see ``to_detections``."""
        return to_detections(self._path, self._outputs, image_height, image_width, class_count)

    def tensors(self, image: np.ndarray, shapes: Collection[Sequence[int]]) -> list[np.ndarray]:
        """Run the program on an image: every result inside of one of these shapes.

        Raises:
            UserError: the interpreter fails.
        """
        wanted = {f"shape.{index}": np.array(shape) for index, shape in enumerate(shapes)}
        answer = self._ask(image=image, **wanted)
        return [values for name, values in answer.items() if name not in (*OUTPUTS, *VISION_OUTPUTS)]

    def _ask(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has died; the answer tells why
            send(self._process.stdin, **arrays)
        return self._answer()

    def _answer(self) -> dict[str, np.ndarray]:
        assert self._process.stdout
        answer = receive(self._process.stdout)
        if answer is None:
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").split("\n")
            reason = next((line.strip() for line in reversed(lines) if line.strip()), "no word of it")
            raise UserError(f"the interpreter of {self._path} has ended: {reason}")
        if "error" in answer:
            raise UserError(str(answer["error"]))
        return answer


def _end(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, log):
        assert stream
        stream.close()
