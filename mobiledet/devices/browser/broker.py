"""Passes requests to a page that cannot accept connections: it polls for requests and posts the replies in parts."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from mobiledet.devices.agent.refusal import Refusal

SILENT_SECONDS = 40.0  # time without a poll after which a page is considered gone
LOOK_SECONDS = 1.0  # interval between checks whether the host still waits


@dataclass(frozen=True)
class Part:
    """A part of a reply.

    Attributes:
        status, content_type: status and content type of the reply.
        content: bytes of this part.
        more: whether another part follows.
    """

    status: int
    content_type: str
    content: bytes
    more: bool = False


@dataclass
class PendingRequest:
    """A request that was not answered yet, identified by its number; numbers increase."""

    number: int
    method: str
    path: str
    body: bytes
    parts: list[Part] = field(default_factory=list)
    broken: bool = False  # the page was reloaded in the middle of its reply


class Broker:
    """Connects hosts, which wait for replies, with one page. Methods may be called by many threads.

    The first page that polls is the device, until it has not polled for ``silent_seconds``.
    """

    def __init__(self, silent_seconds: float = SILENT_SECONDS) -> None:
        self._silent_seconds = silent_seconds
        self._changed = threading.Condition()
        self._pending: dict[int, PendingRequest] = {}
        self._last = 0
        self._page = ""
        self._heard = -float("inf")

    @property
    def connected(self) -> bool:
        """Whether a page is connected."""
        return time.monotonic() - self._heard < self._silent_seconds

    def wait_for_page(self, seconds: float) -> bool:
        """Wait for a page, at most this long; returns whether one is connected."""
        with self._changed:
            return self._changed.wait_for(lambda: self.connected, seconds)

    def forward(self, method: str, path: str, body: bytes, host_waits: Callable[[], bool]) -> Iterator[Part]:
        """Forward a request; yields the parts of the page's reply as they arrive.

        Args:
            method, path, body: the request.
            host_waits: whether the host that sent the request is still connected.

        Raises:
            Refusal: no page is connected.
        """
        with self._changed:
            self._last += 1
            request = self._pending[self._last] = PendingRequest(self._last, method, path, body)
            self._changed.notify_all()
        try:
            taken = 0
            while True:
                with self._changed:
                    while len(request.parts) == taken:
                        if request.broken:
                            raise ConnectionError("the page was loaded again")
                        if not self.connected:
                            message = f"no page has asked for {self._silent_seconds:.0f} s; open its address again"
                            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "no_device", message)
                        self._changed.wait(LOOK_SECONDS)
                        if not host_waits():
                            raise ConnectionError("the host has gone")
                    part = request.parts[taken]
                taken += 1
                yield part
                if not part.more:
                    return
        finally:
            with self._changed:
                del self._pending[request.number]

    def next(self, page: str, after: int, seconds: float) -> PendingRequest | None:
        """The first request with a number above ``after``; None if none arrives in time.

        Args:
            page: identifier of the page, which stays the same when it is reloaded.
            after: number of the last request that the page received; 0 if it was just loaded, so that requests that it
                did not finish before are sent again.
            seconds: time to wait.

        Raises:
            Refusal: another page is the device.
        """
        with self._changed:
            self._register_poll(page)
            if not after:
                for request in self._pending.values():
                    request.broken = bool(request.parts)
            waiting: list[int] = []

            def found() -> bool:
                waiting[:] = [number for number in self._pending if number > after and not self._pending[number].broken]
                return bool(waiting)

            self._changed.wait_for(found, seconds)
            self._register_poll(page)
            return self._pending[min(waiting)] if waiting else None

    def reply(self, page: str, number: int, index: int, part: Part) -> None:
        """Receive a part of a reply; a part that arrives twice or that nobody waits for is ignored.

        Raises:
            Refusal: another page is the device.
        """
        with self._changed:
            self._register_poll(page)
            request = self._pending.get(number)
            if request is not None and not request.broken and index == len(request.parts):
                request.parts.append(part)
                self._changed.notify_all()

    def _register_poll(self, page: str) -> None:
        if page != self._page and self.connected:
            raise Refusal(HTTPStatus.CONFLICT, "other_page", "another page is the device; close it first")
        self._page = page
        self._heard = time.monotonic()
        self._changed.notify_all()
