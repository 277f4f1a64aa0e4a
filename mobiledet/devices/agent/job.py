"""A benchmark that runs in its own thread while the client polls."""

import threading
import uuid
from collections.abc import Callable

from mobiledet.devices.agent.messages import BenchRequest, ErrorMessage, JobInfo
from mobiledet.devices.base import BenchmarkSamples
from mobiledet.errors import UserError

Measure = Callable[[Callable[[], None]], BenchmarkSamples | None]


class _Cancelled(Exception):
    """The job was cancelled."""


class Job:
    """A benchmark, which starts immediately.

    Args:
        request: the request; its key identifies the job to the client.
        measure: function that measures; it calls its argument between runs.
    """

    def __init__(self, request: BenchRequest, measure: Measure) -> None:
        self.request = request
        self._info = JobInfo(uuid.uuid4().hex, "running")
        self._measure = measure
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def info(self) -> JobInfo:
        """Current state of the job."""
        return self._info

    def wait(self, seconds: float) -> JobInfo:
        """Wait for the end of the job, at most this long; returns its state."""
        self._thread.join(seconds)
        return self._info

    def cancel(self) -> None:
        """Stop the job before its next run."""
        self._cancelled.set()

    def _run(self) -> None:
        identity = self._info.id
        try:
            self._info = JobInfo(identity, "done", self._measure(self._check))
        except _Cancelled:
            self._info = JobInfo(identity, "cancelled")
        except UserError as error:
            self._info = JobInfo(identity, "failed", error=ErrorMessage(str(error), "refused"))
        except Exception as error:
            message = f"the benchmark failed: {type(error).__name__}: {' '.join(str(error).split())}"
            self._info = JobInfo(identity, "failed", error=ErrorMessage(message, "internal"))

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise _Cancelled
