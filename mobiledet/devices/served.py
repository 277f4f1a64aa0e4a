"""A detector in a process of its own, for runtimes that must not share a process with others."""

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

# Waiting threads sleep: if other processes use the cores, too, the default spinning makes a run ten times as long.
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}


class ServedDetector:
    """A detector in a process that communicates by ``array_stream``.

    The process first sends the ``size`` of its input, height and width. It answers each ``image`` with the outputs, and
    with the internal results whose shape is one of ``shape.…`` in the request. In case of an error, it sends ``error``.

    Args:
        path: the model file.
        accelerator: ``auto``, or the only accelerator.
        threads: number of CPU threads, at least 1.
        server: the module that runs in the process; its arguments are the path and the number of threads.
        role: name of the process in messages, such as ``the interpreter``.

    Attributes:
        height, width: size of the input in pixels.
        accelerator: the only accelerator.
        delegated_share: None, because there is no delegate.

    Raises:
        UserError: the accelerator is unknown, or the file cannot be loaded or is not such a detector.
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
        """Set the image to run on, height x width x 3 uint8 RGB of the model's input size."""
        self._request = {"image": image}

    def invoke(self) -> None:
        """Run the program on the input.

        Raises:
            UserError: the run fails.
        """
        self._outputs = self._exchange(**self._request)

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """The detections of the last run; see ``to_detections``."""
        return to_detections(self._path, self._outputs, image_height, image_width, class_count)

    def tensors(self, image: np.ndarray, shapes: Collection[Sequence[int]]) -> list[np.ndarray]:
        """Run the program on an image; returns all internal results with one of these shapes.

        Raises:
            UserError: the run fails.
        """
        wanted = {f"shape.{index}": np.array(shape) for index, shape in enumerate(shapes)}
        answer = self._exchange(image=image, **wanted)
        return [values for name, values in answer.items() if name not in (*OUTPUTS, *VISION_OUTPUTS)]

    def _exchange(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # the process has died; reading the answer reports why
            send(self._process.stdin, **arrays)
        return self._answer()

    def _answer(self) -> dict[str, np.ndarray]:
        assert self._process.stdout
        answer = receive(self._process.stdout)
        if answer is None:
            self._log.seek(0)
            reason = why_ended(self._log.read().decode(errors="replace"))
            raise UserError(f"{self._role} of {self._path} has stopped: {reason}")
        if "error" in answer:
            raise UserError(str(answer["error"]))
        return answer


def why_ended(log: str) -> str:
    """The line of a log that says why a process has ended: the first error of a compiler, or the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["it printed nothing"]
    return next((line.partition(" error: ")[2] for line in lines if " error: " in line), lines[-1])


def _end(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, log):
        assert stream
        stream.close()
