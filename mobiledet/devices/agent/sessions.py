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
        request: what was asked for.
        bundle: where the file comes from.
        device: with the runtime that executes it.
        session: runs it.
        id: names it in paths.
        trusted: whether it has passed the golden gate.
        job: the latest benchmark.
        used: when it was asked for last, in seconds of a monotonic clock.
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
        return SessionInfo(self.id, self.bundle.sha256, self.device, self.session.execution)

    @property
    def measures(self) -> bool:
        """Whether a benchmark is running."""
        return self.job is not None and self.job.info.status == "running"


class Sessions:
    """The open sessions, at most so many."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: dict[str, Loaded] = {}
        self._lock = threading.Lock()

    def open(self, request: SessionRequest, load: Callable[[SessionRequest], Loaded]) -> Loaded:
        """The session of this request: the one that has its key, or a new one.

        Raises:
            Refusal: too many are open, the key is of another request, or ``load`` refuses.
        """
        with self._lock:  # while loading too, or two of the same key could be opened
            for loaded in self._open.values():
                if loaded.request.key == request.key:
                    if loaded.request != request:
                        raise Refusal(HTTPStatus.CONFLICT, "key_reused", "this key belongs to another session")
                    return loaded
            self._make_room()
            loaded = load(request)
            self._open[loaded.id] = loaded
            return loaded

    def get(self, identity: str) -> Loaded:
        """The session of this id.

        Raises:
            Refusal: there is none.
        """
        loaded = self._open.get(identity)
        if loaded is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "unknown_session", f"no session {identity[:80]!r} is open")
        loaded.used = time.monotonic()
        return loaded

    def job(self, identity: str) -> Job:
        """The job of this id.

        Raises:
            Refusal: there is none, or its session has been closed or measures anew.
        """
        for loaded in list(self._open.values()):
            if loaded.job and loaded.job.info.id == identity:
                loaded.used = time.monotonic()
                return loaded.job
        raise Refusal(HTTPStatus.NOT_FOUND, "unknown_job", f"no job {identity[:80]!r} is here")

    def close(self, identity: str) -> None:
        """Close a session and cancel its benchmark.

        Raises:
            Refusal: there is none.
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

    def _make_room(self) -> None:
        if len(self._open) < self._limits.sessions:
            return
        oldest = min(self._open.values(), key=lambda loaded: (loaded.measures, loaded.used))
        if oldest.measures or time.monotonic() - oldest.used < self._limits.idle_seconds:
            message = f"{len(self._open)} sessions are open, no more are taken; close one"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too_many_sessions", message)
        self.close(oldest.id)
