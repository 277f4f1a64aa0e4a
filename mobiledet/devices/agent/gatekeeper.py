"""Access control for our servers: limits and time limits for connections, accepted host names, security headers."""

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
MAX_CONNECTIONS = 512
SPARE_DESCRIPTORS = 64  # for files, models and outgoing connections
STRANGER_SECONDS = 5.0  # time limit for authentication
PAUSE_SECONDS = 0.2  # while the system has no more connections
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# headers of every reply: no other site may display, embed or read it, and addresses with a token are not passed on
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"


@dataclass
class _Connection:
    """An open connection."""

    connection: socket.socket
    since: float = field(default_factory=time.monotonic)
    authenticated: bool = False
    dropped: bool = False


class GuardedServer(ThreadingHTTPServer):
    """A server with a thread for each connection and a limit on the number of connections.

    Connections that do not authenticate within seconds are dropped, and earlier if all places are taken. If all places
    are taken by authenticated clients, new connections wait in the system's queue.

    Args:
        address: host and port to listen on.
        handler: handler class for connections.
        names: host names that requests may be addressed to, in addition to numeric addresses and ``localhost``.
    """

    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, address: tuple[str, int], handler: Any, names: Collection[str] = ()) -> None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.max_connections = max(4, min(MAX_CONNECTIONS, descriptors - SPARE_DESCRIPTORS))
        own = socket.gethostname().lower()
        self.names = frozenset({"localhost", own, f"{own}.local", *(name.lower().rstrip(".") for name in names)})
        self._connections: dict[socket.socket, _Connection] = {}
        self._guard = threading.Lock()
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; if the system has none left, drop unauthenticated ones and wait before trying again."""
        try:
            connection, address = super().get_request()
        except OSError as error:
            if error.errno in SCARCE:
                self._drop_unauthenticated(0, limit=1)
                time.sleep(PAUSE_SECONDS)
            raise
        with self._guard:
            self._connections[connection] = _Connection(connection)
            full = len(self._connections) > self.max_connections
        if full:
            self._drop_unauthenticated(0, limit=1)
            while self._count() > self.max_connections + SPARE_DESCRIPTORS // 2:
                time.sleep(PAUSE_SECONDS)
                self._drop_unauthenticated(STRANGER_SECONDS)
        return connection, address

    def service_actions(self) -> None:
        """Drop unauthenticated connections; called twice a second when idle, and after each connection."""
        super().service_actions()
        self._drop_unauthenticated(STRANGER_SECONDS)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def mark_authenticated(self, connection: socket.socket) -> None:
        """Mark a connection as authenticated."""
        entry = self._connections.get(connection)
        if entry:
            entry.authenticated = True

    def keep_alive(self, connection: socket.socket) -> None:
        """Restart the time limit of a connection that is being served, authenticated or not."""
        entry = self._connections.get(connection)
        if entry:
            entry.since = time.monotonic()

    def _count(self) -> int:
        with self._guard:
            return len(self._connections)

    def _drop_unauthenticated(self, after_seconds: float, limit: int | None = None) -> None:
        """Drop up to ``limit`` connections that have not authenticated for ``after_seconds``, the oldest first."""
        latest = time.monotonic() - after_seconds
        with self._guard:
            unauthenticated = [
                entry for entry in self._connections.values() if not (entry.authenticated or entry.dropped)
            ]
        for entry in [entry for entry in unauthenticated if entry.since <= latest][:limit]:
            entry.dropped = True
            with suppress(OSError):
                entry.connection.shutdown(socket.SHUT_RDWR)  # its thread notices the end and closes it


def refuse_foreign(names: Collection[str], hosts: list[str], origins: list[str]) -> None:
    """Refuse requests that a browser sends on behalf of another site.

    A site whose name was made to resolve to this machine (DNS rebinding) is recognised by its name in ``Host``, any
    other one by its ``Origin``, which differs from the address of the request.

    Args:
        names: as in ``GuardedServer``.
        hosts, origins: values of the headers Host and Origin.

    Raises:
        Refusal: the request is addressed to another host, or comes from another site.
    """
    name = _host_name(hosts[0]) if len(hosts) == 1 else None
    if name is None or not (name in names or _is_address(name)):
        message = "Host is not a name of this machine; use its address, or give the name at the start with --name"
        raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "wrong_host", message)
    own = hosts[0].strip().lower()
    if any(origin.strip().lower() not in (f"http://{own}", f"https://{own}") for origin in origins):
        raise Refusal(HTTPStatus.FORBIDDEN, "wrong_origin", "requests from other pages are not served")


def _host_name(host: str) -> str | None:
    """The host name without the port; None if the text is not a host."""
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
