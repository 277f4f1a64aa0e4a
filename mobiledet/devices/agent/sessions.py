"""The model files that an agent has loaded."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from mobiledet.bundle import Bundle
from mobiledet.devices.agent.job import Job
from mobiledet.devices.agent.messages import Limits, SessionInfo, SessionRequest
from mobiledet.devices.agent.refusal import Refusal
from mobiledet.devices.base import DeviceInfo
from mobiledet.devices.local import LocalSession


@dataclass
class Loaded:
    """A model file in memory.

    Attributes:
        request: the request that loaded it.
        bundle: the bundle of the file.
        device: the device, with the runtime that executes the file.
        session: the session that runs the file.
        id: identifier for paths.
        trusted: whether it has passed the golden gate.
        job: the latest benchmark.
        used: time of the last request, in seconds of a monotonic clock.
    """

    request: SessionRequest
    bundle: Bundle
    device: DeviceInfo
    session: LocalSession
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    trusted: bool = False
    job: Job | None = None
    used: float = field(default_factory=time.monotonic)

    @property
    def info(self) -> SessionInfo:
        """Description of the session for the client."""
        return SessionInfo(self.id, self.bundle.sha256, self.device, self.session.execution)

    @property
    def measures(self) -> bool:
        """Whether a benchmark is running."""
        return self.job is not None and self.job.info.status == "running"


class Sessions:
    """The open sessions, with a limit on their number."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: dict[str, Loaded] = {}
        self._lock = threading.Lock()

    def open(self, request: SessionRequest, load: Callable[[SessionRequest], Loaded]) -> Loaded:
        """The session for a request: an open one with the same key, or a new one.

        Raises:
            Refusal: too many sessions are open, the key belongs to another request, or ``load`` refuses.
        """
        with self._lock:  # also while loading, or two sessions with the same key could be opened
            for loaded in self._open.values():
                if loaded.request.key == request.key:
                    if loaded.request != request:
                        raise Refusal(HTTPStatus.CONFLICT, "key_reused", "this key belongs to another session")
                    return loaded
            self._close_idle()
            loaded = load(request)
            self._open[loaded.id] = loaded
            return loaded

    def get(self, identity: str) -> Loaded:
        """The session with this id.

        Raises:
            Refusal: there is no such session.
        """
        loaded = self._open.get(identity)
        if loaded is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "unknown_session", f"no session {identity[:80]!r} is open")
        loaded.used = time.monotonic()
        return loaded

    def job(self, identity: str) -> Job:
        """The job with this id.

        Raises:
            Refusal: there is no such job, or its session was closed or has a newer one.
        """
        for loaded in list(self._open.values()):
            if loaded.job and loaded.job.info.id == identity:
                loaded.used = time.monotonic()
                return loaded.job
        raise Refusal(HTTPStatus.NOT_FOUND, "unknown_job", f"no job {identity[:80]!r} is here")

    def close(self, identity: str) -> None:
        """Close a session and cancel its benchmark.

        Raises:
            Refusal: there is no such session.
        """
        self.get(identity)
        closed = self._open.pop(identity, None)
        if closed and closed.job:
            closed.job.cancel()

    def close_all(self, patience_seconds: float) -> None:
        """Close every session; wait for a benchmark to end."""
        for loaded in list(self._open.values()):
            self.close(loaded.id)
            if loaded.job:
                loaded.job.wait(patience_seconds)

    def _close_idle(self) -> None:
        if len(self._open) < self._limits.sessions:
            return
        oldest = min(self._open.values(), key=lambda loaded: (loaded.measures, loaded.used))
        if oldest.measures or time.monotonic() - oldest.used < self._limits.idle_seconds:
            message = f"{len(self._open)} sessions are open, which is the limit; close one"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too_many_sessions", message)
        self.close(oldest.id)
