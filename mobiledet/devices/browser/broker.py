"""Requests on their way to a page that cannot listen: it asks for the next one and posts the reply, part by part."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from mobiledet.devices.agent.refusal import Refusal

SILENT_SECONDS = 40.0  # a page that has not asked for so long is gone
LOOK_SECONDS = 1.0  # between two looks at whether the host still waits


@dataclass(frozen=True)
class Part:
    """A part of a reply.

    Attributes:
        status, content_type: of the reply.
        content: of this part.
        more: whether another part follows.
    """

    status: int
    content_type: str
    content: bytes
    more: bool = False


@dataclass
class Errand:
    """A request on its way; its number names it, and numbers rise."""

    number: int
    method: str
    path: str
    body: bytes
    parts: list[Part] = field(default_factory=list)
    broken: bool = False  # the page was loaded again in the middle of its reply


class Broker:
    """Between hosts, which wait for replies, and one page. Methods may be called by many threads.

    The first page that asks is the device, until it has been silent for ``silent_seconds``.
    """

    def __init__(self, silent_seconds: float = SILENT_SECONDS) -> None:
        self._silent_seconds = silent_seconds
        self._changed = threading.Condition()
        self._errands: dict[int, Errand] = {}
        self._last = 0
        self._page = ""
        self._heard = -float("inf")

    @property
    def connected(self) -> bool:
        """Whether a page is there."""
        return time.monotonic() - self._heard < self._silent_seconds

    def wait_for_page(self, seconds: float) -> bool:
        """Whether a page is there, after waiting for one for so long at most."""
        with self._changed:
            return self._changed.wait_for(lambda: self.connected, seconds)

    def forward(self, method: str, path: str, body: bytes, host_waits: Callable[[], bool]) -> Iterator[Part]:
        """The parts of the page's reply, as they come.

        Args:
            method, path, body: of the request.
            host_waits: whether whoever asked is still there.

        Raises:
            Refusal: no page is there, or not any more.
        """
        with self._changed:
            self._last += 1
            errand = self._errands[self._last] = Errand(self._last, method, path, body)
            self._changed.notify_all()
        try:
            taken = 0
            while True:
                with self._changed:
                    while len(errand.parts) == taken:
                        if errand.broken:
                            raise ConnectionError("the page was loaded again")
                        if not self.connected:
                            message = f"no page has asked for {self._silent_seconds:.0f} s; open its address again"
                            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "no_device", message)
                        self._changed.wait(LOOK_SECONDS)
                        if not host_waits():
                            raise ConnectionError("the host has gone")
                    part = errand.parts[taken]
                taken += 1
                yield part
                if not part.more:
                    return
        finally:
            with self._changed:
                del self._errands[errand.number]

    def next(self, page: str, after: int, seconds: float) -> Errand | None:
        """The first request with a number above ``after``; None when none comes for so long.

        Args:
            page: who asks; stays the same when it is loaded again.
            after: the last number that it has got; 0 when it has just been loaded, so that what the page before did
                not finish is handed out again.
            seconds: to wait.

        Raises:
            Refusal: another page is the device.
        """
        with self._changed:
            self._hear(page)
            if not after:
                for errand in self._errands.values():
                    errand.broken = bool(errand.parts)
            waiting: list[int] = []

            def found() -> bool:
                waiting[:] = [number for number in self._errands if number > after and not self._errands[number].broken]
                return bool(waiting)

            self._changed.wait_for(found, seconds)
            self._hear(page)
            return self._errands[min(waiting)] if waiting else None

    def reply(self, page: str, number: int, index: int, part: Part) -> None:
        """Take a part of a reply; one that comes twice, or that nobody waits for any more, is dropped.

        Raises:
            Refusal: another page is the device.
        """
        with self._changed:
            self._hear(page)
            errand = self._errands.get(number)
            if errand is not None and not errand.broken and index == len(errand.parts):
                errand.parts.append(part)
                self._changed.notify_all()

    def _hear(self, page: str) -> None:
        if page != self._page and self.connected:
            raise Refusal(HTTPStatus.CONFLICT, "other_page", "another page is the device; close it first")
        self._page = page
        self._heard = time.monotonic()
        self._changed.notify_all()
