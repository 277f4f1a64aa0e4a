"""Who may speak to a server of ours: connections that are counted and hurried, names that it answers to, headers."""

import errno
import ipaddress
import resource
import socket
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from mobiledet.devices.agent.refusal import Refusal

BACKLOG = 128
MOST_CONNECTIONS = 512
SPARE_DESCRIPTORS = 64  # for files, models and the connections of this program itself
STRANGER_SECONDS = 5.0  # to show the token
PAUSE_SECONDS = 0.2  # when the system gives no more connections
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# of every reply: no page of others may show, embed or read it, and no address that holds a token is passed on
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"


@dataclass
class _Guest:
    """A connection."""

    connection: socket.socket
    since: float = field(default_factory=time.monotonic)
    known: bool = False
    shown_out: bool = False


class GuardedServer(ThreadingHTTPServer):
    """A server with a thread for each connection, of which there are so many at most.

    Whoever does not show the token in seconds is shown out, and makes room for others before that when all places are
    taken; when there is no place at all, newcomers wait in the system's queue.

    Args:
        address: host and port to listen on.
        handler: of a connection.
        names: host names that requests may be addressed to, besides numeric addresses and ``localhost``.
    """

    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, address: tuple[str, int], handler: Any, names: Collection[str] = ()) -> None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.most_connections = max(4, min(MOST_CONNECTIONS, descriptors - SPARE_DESCRIPTORS))
        own = socket.gethostname().lower()
        self.names = frozenset({"localhost", own, f"{own}.local", *(name.lower().rstrip(".") for name in names)})
        self._guests: dict[socket.socket, _Guest] = {}
        self._guard = threading.Lock()
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; where the system has no more of them, make room and wait instead of asking again at
        once."""
        try:
            connection, address = super().get_request()
        except OSError as error:
            if error.errno in SCARCE:
                self._show_out_strangers(0, most=1)
                time.sleep(PAUSE_SECONDS)
            raise
        with self._guard:
            self._guests[connection] = _Guest(connection)
            full = len(self._guests) > self.most_connections
        if full:
            self._show_out_strangers(0, most=1)
            while self._count() > self.most_connections + SPARE_DESCRIPTORS // 2:
                time.sleep(PAUSE_SECONDS)
                self._show_out_strangers(STRANGER_SECONDS)
        return connection, address

    def service_actions(self) -> None:
        """Twice a second while nothing comes, and after each connection."""
        super().service_actions()
        self._show_out_strangers(STRANGER_SECONDS)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._guests.pop(request, None)
        super().shutdown_request(request)

    def welcome(self, connection: socket.socket) -> None:
        """This connection has shown the token."""
        guest = self._guests.get(connection)
        if guest:
            guest.known = True

    def stays(self, connection: socket.socket) -> None:
        """This connection is being served, with or without the token."""
        guest = self._guests.get(connection)
        if guest:
            guest.since = time.monotonic()

    def _count(self) -> int:
        with self._guard:
            return len(self._guests)

    def _show_out_strangers(self, after_seconds: float, most: int | None = None) -> None:
        """Break off connections that have not shown the token for so long, the oldest first."""
        latest = time.monotonic() - after_seconds
        with self._guard:
            strangers = [guest for guest in self._guests.values() if not (guest.known or guest.shown_out)]
        for guest in [guest for guest in strangers if guest.since <= latest][:most]:
            guest.shown_out = True
            with suppress(OSError):
                guest.connection.shutdown(socket.SHUT_RDWR)  # its thread finds the end, and closes it


def refuse_foreign(names: Collection[str], hosts: list[str], origins: list[str]) -> None:
    """Refuse requests that a web page of others has a browser send.

    A page whose name has been made to lead to this machine (DNS rebinding) is told by its name in ``Host``; any other
    one by its ``Origin``, which is not the address that the request goes to.

    Args:
        names: as in ``GuardedServer``.
        hosts, origins: the headers of these names.

    Raises:
        Refusal: the request is not meant for this server, or not from its own page.
    """
    name = _host_name(hosts[0]) if len(hosts) == 1 else None
    if name is None or not (name in names or _is_address(name)):
        message = "Host is none of this machine's names; use its address, or give the name at the start with --name"
        raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "wrong_host", message)
    own = hosts[0].strip().lower()
    if any(origin.strip().lower() not in (f"http://{own}", f"https://{own}") for origin in origins):
        raise Refusal(HTTPStatus.FORBIDDEN, "wrong_origin", "requests of other pages are not served")


def _host_name(host: str) -> str | None:
    """Without the port; None where it is no host."""
    try:
        parts = urlsplit(f"//{host.strip()}")
        _ = parts.port
    except ValueError:
        return None
    plain = not (parts.username or parts.password or parts.path or parts.query or parts.fragment)
    return parts.hostname.rstrip(".") if plain and parts.hostname else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
