"""A detector in a process of its own, for runtimes that must not meet others in one process."""

import contextlib
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from mobiledet.detections import Detections
from mobiledet.devices.array_stream import receive, send
from mobiledet.devices.outputs import VISION_OUTPUTS, to_detections
from mobiledet.errors import UserError, unknown_name
from mobiledet.spec import OUTPUTS

# Threads that wait sleep: where others use the cores too, the usual spinning makes a run ten times as long.
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}


class ServedDetector:
    """A detector whose process answers by ``array_stream``: first the ``size`` of its image, height and width, then to
    each ``image`` the outputs, and to each ``shape.…`` with it the results inside of those shapes. An ``error`` comes
    in place of what cannot be had.

    Args:
        path: the model file.
        accelerator: ``auto``, or the only one that there is.
        threads: of the processor, at least 1.
        server: the module that runs in the process; it is given the path and the threads.
        role: what the process is, for messages, such as ``the interpreter``.

    Attributes:
        height, width: of the image, in pixels.
        accelerator: the only one.
        delegated_share: None; nothing else takes part.

    Raises:
        UserError: unknown accelerator, or a file that cannot be loaded or that is no such detector.
    """

    delegated_share: float | None = None
    accelerator: str

    def __init__(self, path: Path, accelerator: str, threads: int, server: str, role: str) -> None:
        if accelerator not in ("auto", self.accelerator):
            raise unknown_name("accelerator", accelerator, ("auto", self.accelerator))
        self._path, self._role = path, role
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", server, str(path), str(threads)],
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
            UserError: it fails.
        """
        self._outputs = self._ask(**self._request)

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """What the last run found; see ``to_detections``."""
        return to_detections(self._path, self._outputs, image_height, image_width, class_count)

    def tensors(self, image: np.ndarray, shapes: Collection[Sequence[int]]) -> list[np.ndarray]:
        """Run the program on an image: every result inside of one of these shapes.

        Raises:
            UserError: it fails.
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
            reason = why_ended(self._log.read().decode(errors="replace"))
            raise UserError(f"{self._role} of {self._path} has ended: {reason}")
        if "error" in answer:
            raise UserError(str(answer["error"]))
        return answer


def why_ended(log: str) -> str:
    """The line of its log that says why a process has ended: the first that a compiler calls an error, or the last."""
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["no word of it"]
    return next((line.partition(" error: ")[2] for line in lines if " error: " in line), lines[-1])


def _end(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, log):
        assert stream
        stream.close()
