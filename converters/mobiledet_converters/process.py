"""A converter in a process of its own: the frameworks cannot crash each other, and one that crashes is told apart."""

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
LOG_LINES = 30  # of a failed conversion that are shown
NO_SPACE = os.strerror(errno.ENOSPC)  # how libraries that abort, such as LLVM, end their log

# format, or another kind of job -> the module that converts and the packages it needs
CONVERTERS = {
    "tflite": ("mobiledet_converters.tflite.convert", ("litert_torch", "ai_edge_quantizer", "flatbuffers")),
    "network": ("mobiledet_converters.tflite.network", ("litert_torch", "flatbuffers")),
    "coreml": ("mobiledet_converters.coreml.convert", ("coremltools",)),
    "coreai": ("mobiledet_converters.coreai.convert", ("coreai_torch", "coreai")),
}
# The converters compute nothing worth a GPU: they must not take memory there from a training that runs.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2"}


def require_converter(format: str) -> None:
    """Raise UserError if a package that the format's converter needs is not installed."""
    missing = missing_package(format)
    if missing:
        raise UserError(f"--format {format} needs {missing}, not installed: pip install 'mobiledet[{format}]'")


def missing_package(format: str) -> str | None:
    """The first package that the format's converter needs and that is not installed."""
    _, packages = CONVERTERS[format]
    return next((name for name in packages if find_spec(name) is None), None)


class Conversion:
    """A running conversion; use as a context manager, which ends the process whatever happens.

    Args:
        format: key of ``CONVERTERS``.
        job: its folder must exist.
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
        return self._process.poll() is None

    def wait(self, seconds: float) -> None:
        """Until the process ends, but no longer."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    @property
    def step(self) -> str:
        """What the converter is doing now."""
        path = self.job.folder / STEP
        return path.read_text(encoding="utf-8") if path.exists() else "starting"

    def answer(self) -> ConversionAnswer:
        """Wait for the end and read the answer.

        Raises:
            UserError: the conversion failed or its process died; for a failure that the converter did not foresee,
                the end of its log goes to standard error first.
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
        return "it was killed, perhaps for want of memory"
    return f"it crashed with signal {signal.Signals(-status).name}" if status < 0 else last
