"""Runs a converter in its own process, so that a framework that crashes affects nothing else."""

import errno
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec

from mobiledet.errors import UserError
from mobiledet.processes.child import child_command
from mobiledet_converters.job import ANSWER, DISK_FULL, STEP, ConversionAnswer, Job

LOG = "log.txt"
LOG_LINES = 30  # shown of the log of a failed conversion
NO_SPACE = os.strerror(errno.ENOSPC)  # how libraries that abort, such as LLVM, end their log

# format, or another kind of job -> the converter's module and the packages that it needs
CONVERTERS = {
    "tflite": ("mobiledet_converters.tflite.convert", ("litert_torch", "ai_edge_quantizer", "flatbuffers")),
    "network": ("mobiledet_converters.tflite.network", ("litert_torch", "flatbuffers")),
    "coreml": ("mobiledet_converters.coreml.convert", ("coremltools",)),
    "coreai": ("mobiledet_converters.coreai.convert", ("coreai_torch", "coreai")),
}
# The converters do not need a GPU and must not take GPU memory from a training that is running.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2"}


def require_converter(format: str) -> None:
    """Raise ``UserError`` if a package that the format's converter needs is not installed."""
    missing = missing_package(format)
    if missing:
        raise UserError(f"--format {format} needs {missing}, which is not installed: pip install 'mobiledet[{format}]'")


def missing_package(format: str) -> str | None:
    """The first package that the format's converter needs and that is not installed."""
    _, packages = CONVERTERS[format]
    return next((name for name in packages if find_spec(name) is None), None)


class Conversion:
    """A running conversion. A context manager: the process is ended on exit in any case.

    Args:
        format: key of ``CONVERTERS``.
        job: the request; its folder must exist.
    """

    def __init__(self, format: str, job: Job) -> None:
        self.format = format
        self.job = job
        module, _ = CONVERTERS[format]
        with (job.folder / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                child_command(module, str(job.save())),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ENVIRONMENT},
            )

    def __enter__(self) -> "Conversion":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> None:
        """Wait until the process ends, but at most this long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    @property
    def step(self) -> str:
        """Description of what the converter is doing now."""
        path = self.job.folder / STEP
        return path.read_text(encoding="utf-8") if path.exists() else "starting"

    def answer(self) -> ConversionAnswer:
        """Wait for the end of the process and read its answer.

        Raises:
            UserError: the conversion failed or its process died. For an unexpected failure, the end of its log is
                printed to standard error first.
        """
        status = self._process.wait()
        if status == 0 and (self.job.folder / ANSWER).exists():
            answer = ConversionAnswer.read(self.job.folder)
            if answer.error:
                raise UserError(answer.error)
            return answer
        lines = (self.job.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {status}")
        if status == DISK_FULL or NO_SPACE in last:
            raise UserError(
                f"the {self.format} converter failed while {self.step}: no space left on the disk; choose another --out"
            )
        print(*lines[-LOG_LINES:], sep="\n", file=sys.stderr)
        raise UserError(
            f"the {self.format} converter failed while {self.step}: {_cause(status, last)}; its log is above"
        )


def _cause(status: int, last: str) -> str:
    if status == -signal.SIGKILL:
        return "it was killed, perhaps because memory ran out"
    return f"it crashed with signal {signal.Signals(-status).name}" if status < 0 else last
