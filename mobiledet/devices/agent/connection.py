"""The client side of the agent protocol: requests over a persistent connection, which is reopened when it breaks."""

import http.client
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mobiledet.devices.agent.messages import ErrorMessage, from_bytes, to_bytes
from mobiledet.errors import UserError

# every request is idempotent: a lost one is repeated after these seconds
RETRY_SECONDS: tuple[float, ...] = (0, 0.2, 0.5, 1, 2, 5, 10)
REPLY_SECONDS = 60.0


@dataclass(frozen=True)
class Reply:
    """A reply: HTTP status, body, and the seconds from the first byte sent to the last one received."""

    status: int
    content: bytes
    seconds: float

    @property
    def error(self) -> ErrorMessage:
        """The error message in the reply; with an empty code if the body is not a message."""
        try:
            message: ErrorMessage = from_bytes(ErrorMessage, self.content)
            return message
        except ValueError:
            return ErrorMessage(f"HTTP status {self.status}", "")


class AgentRefusal(UserError):
    """The agent refused a request; ``code`` says why, see apps/PROTOCOL.md."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class AgentConnection:
    """Requests to an agent, one after the other.

    Args:
        url: http://HOST:PORT.
        token: of the agent.

    Raises:
        UserError: the address is not such a URL.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme != "http" or not parts.hostname or not port or parts.path.strip("/") or parts.query:
            raise UserError(f"{url!r} is not the address of an agent; give http://HOST:PORT")
        self.url = f"http://{parts.netloc}"
        self._token = token
        self._connection = http.client.HTTPConnection(parts.hostname, port)
        self._given_up = threading.Event()

    def request(
        self,
        method: str,
        path: str,
        body: Any = b"",
        *,
        seconds: float = REPLY_SECONDS,
        retries: Sequence[float] | None = None,
    ) -> Reply:
        """Send a request, repeatedly until a reply comes.

        Args:
            method, path: HTTP method and path.
            body: bytes, a file to send, or a message.
            seconds: time limit for each part of the reply.
            retries: waiting time in seconds before each new attempt; by default ``RETRY_SECONDS``.

        Raises:
            AgentRefusal: the agent refuses the request.
            UserError: the agent cannot be reached.
        """
        waits = RETRY_SECONDS if retries is None else retries
        for wait in (*waits, None):
            try:
                reply = self.exchange(method, path, body, seconds=seconds)
            except (OSError, http.client.HTTPException) as error:
                if wait is None or self._given_up.is_set():
                    reason = str(error) or type(error).__name__
                    raise UserError(f"cannot reach the agent at {self.url}: {reason}; is it running?") from error
            else:
                if reply.status < 400:
                    return reply
                if wait is None or reply.error.code != "busy":
                    raise AgentRefusal(f"the agent at {self.url} refuses: {reply.error.error}", reply.error.code)
            self._given_up.wait(wait)
        raise AssertionError("the last attempt returns or raises")

    def ask(self, kind: Any, method: str, path: str, body: Any = b"", *, seconds: float = REPLY_SECONDS) -> Any:
        """Send a request and decode the reply as a message; see ``request``.

        Raises:
            UserError: also if the reply is not such a message.
        """
        reply = self.request(method, path, body, seconds=seconds)
        try:
            return from_bytes(kind, reply.content)
        except ValueError as error:
            raise UserError(
                f"the agent at {self.url} does not answer {method} {path} with a {kind.__name__}: {error}"
            ) from error

    def exchange(
        self,
        method: str,
        path: str,
        body: Any = b"",
        headers: dict[str, str] | None = None,
        seconds: float = REPLY_SECONDS,
    ) -> Reply:
        """Send a request once.

        Args:
            method, path, body, seconds: as in ``request``.
            headers: headers to send instead of the one with the token.

        Raises:
            OSError, HTTPException: the connection fails.
        """
        content: Any = body if isinstance(body, bytes | Path) else to_bytes(body)
        self._connection.timeout = seconds
        if self._connection.sock:
            self._connection.sock.settimeout(seconds)
        sent = {"Authorization": f"Bearer {self._token}"} if headers is None else headers
        started = time.monotonic()
        try:
            with ExitStack() as stack:
                if isinstance(content, Path):
                    sent = {**sent, "Content-Length": str(content.stat().st_size)}
                    content = stack.enter_context(content.open("rb"))
                self._connection.request(method, path, content, sent)
            response = self._connection.getresponse()
            received = Reply(response.status, response.read(), time.monotonic() - started)
            framed = response.chunked or response.headers["Content-Length"] is not None
            if received.status != HTTPStatus.NO_CONTENT and not framed:
                # truncated headers look like a reply without a body
                raise http.client.IncompleteRead(received.content)
            return received
        except BaseException:
            self._connection.close()
            raise

    def duplicate(self) -> "AgentConnection":
        """Another connection to the same agent."""
        return AgentConnection(self.url, self._token)

    def give_up(self) -> None:
        """Abort the current request; called from another thread. The connection cannot be used afterwards."""
        self._given_up.set()
        if sock := self._connection.sock:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; a new request opens a new one."""
        self._connection.close()
