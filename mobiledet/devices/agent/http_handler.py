"""The common part of all endpoints of the agent protocol over HTTP/1.1, with Python's own server."""

import hmac
import math
import re
import socket
import sys
import time
import traceback
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from mobiledet.devices.agent.gatekeeper import HEADERS, NO_CONTENT_POLICY, GuardedServer, refuse_foreign
from mobiledet.devices.agent.messages import ErrorMessage, from_bytes, to_bytes
from mobiledet.devices.agent.refusal import Refusal
from mobiledet.files.atomic import DiskFull, is_full

JSON_BODY_BYTES = 64 << 10
BLOCK_BYTES = 1 << 20
SOCKET_SECONDS = 60.0
# time limits for a client that does not read: for a block of a reply, and for all lines, which occupy the device
WRITE_SECONDS, LINES_SECONDS = 10.0, 5.0
WRITE_BYTES = 64 << 10
GATHER_SECONDS = 0.02
NAME = "([^/]+)"


class ProtocolServer(GuardedServer):
    """A server for clients that know the token.

    Args:
        address: host and port to listen on.
        handler: handler class for connections.
        token: token that every request must contain.
        names: see ``GuardedServer``.
    """

    def __init__(
        self, address: tuple[str, int], handler: "type[ProtocolHandler]", token: str, names: Collection[str] = ()
    ) -> None:
        super().__init__(address, handler, names)
        self.token = token

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not report clients that have disconnected."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class ProtocolHandler(BaseHTTPRequestHandler):
    """Handles one connection, which may carry many requests."""

    protocol_version = "HTTP/1.1"
    timeout = SOCKET_SECONDS
    disable_nagle_algorithm = True
    # method, path, method of the handler; the groups of the path are its arguments
    routes: ClassVar[Sequence[tuple[str, str, str]]] = ()
    server: ProtocolServer
    _content_policy = NO_CONTENT_POLICY
    _headers_buffer: list[bytes]  # of the base class
    _content: bytes = b""

    def answer(self) -> None:
        """Answer any request."""
        lengths = self.headers.get_all("Content-Length", [])
        self._unread = lengths not in ([], ["0"]) or "Transfer-Encoding" in self.headers
        self._streaming = False
        self._line_seconds = LINES_SECONDS
        try:
            if len(lengths) > 1:  # a proxy that uses another one of them would see different requests
                raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", "Content-Length is given more than once")
            refuse_foreign(self.server.names, self.headers.get_all("Host", []), self.headers.get_all("Origin", []))
            self._serve()
        except Refusal as refusal:
            self._refuse(refusal.status, refusal.code, str(refusal))
        except (ConnectionError, TimeoutError):
            self._drop_connection()
        except Exception as error:
            if self._streaming:  # the reply stays incomplete, so that the client notices
                traceback.print_exc()
                self._drop_connection()
                return
            if isinstance(error, DiskFull) or (isinstance(error, OSError) and is_full(error)):
                self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, "no_space", "the device's storage is full")
            else:
                traceback.print_exc()
                message = f"the agent failed: {type(error).__name__}"
                self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", message)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = answer

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing, because there are thousands of requests."""

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", self._content_policy)
        super().end_headers()

    def _serve(self) -> None:
        """Answer a request after its host and origin have been checked."""
        self._require_token()
        self._route()

    def _require_token(self) -> None:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(errors="replace"), f"Bearer {self.server.token}".encode()):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", "the token is missing or wrong")
        self.server.mark_authenticated(self.connection)

    def _drop_connection(self) -> None:
        """Close the connection without sending anything, which the client might not read either."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _route(self) -> None:
        path = self._url().path
        known = False
        for method, pattern, name in self.routes:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                return getattr(self, name)(*match.groups())
            known = known or match is not None
        if known:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"{path[:80]} has no {self.command}")
        raise Refusal(HTTPStatus.NOT_FOUND, "unknown_endpoint", f"there is no {path[:80]} in version 1 of the protocol")

    def _url(self) -> SplitResult:
        try:
            return urlsplit(self.path)
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", "the path cannot be read") from error

    def _option(self, name: str, low: float, high: float) -> float:
        """A number from the query; ``low`` if it is missing."""
        text = self._text_option(name, str(low))
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) or not low <= float(text) <= high:
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", f"{name}={text[:40]!r} is not a valid number")
        return float(text)

    def _text_option(self, name: str, default: str = "") -> str:
        """A text from the query."""
        return parse_qs(self._url().query).get(name, [default])[-1]

    def _message(self, kind: type) -> Any:
        """The body as a message."""
        content = b"".join(self._blocks(JSON_BODY_BYTES))
        try:
            return from_bytes(kind, content)
        except ValueError as error:
            message = f"the body is not a {kind.__name__}: {error}"
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", message) from error

    def _blocks(self, limit_bytes: int) -> Iterator[bytes]:
        """The body block by block; its length must be in the headers."""
        text = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,18}", text) or "Transfer-Encoding" in self.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "length_required", "Content-Length is missing, or not alone")
        left = int(text)
        if left > limit_bytes:
            message = f"a body of {left} bytes is too large; the limit is {limit_bytes}"
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
        while left:
            block = self.rfile.read(min(left, BLOCK_BYTES))
            if not block:
                raise ConnectionError("the body ended early")
            left -= len(block)
            yield block
        self._unread = False

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        try:
            self._send(ErrorMessage(message, code), status)
        except OSError:
            self._drop_connection()

    def _send(self, message: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        if message is None:
            self._send_content(b"", "", status)
        else:
            self._send_content(to_bytes(message), "application/json", status)

    def _send_content(
        self,
        content: bytes,
        content_type: str,
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        # an unread body would be taken for the next request
        self.close_connection = self.close_connection or self._unread
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        if self.command != "HEAD" and status != HTTPStatus.NO_CONTENT:
            self._content = content
        self.end_headers()

    def flush_headers(self) -> None:
        """Send the headers, in one packet with a short body."""
        body, self._content = memoryview(self._content), b""
        head, self._headers_buffer = b"".join(self._headers_buffer), []
        self._write(head + body[:WRITE_BYTES])
        self._write(body[WRITE_BYTES:])

    def _write(self, content: bytes | memoryview) -> None:
        """Send bytes in blocks, with a time limit for each.

        Raises:
            TimeoutError: the client does not read a block in time.
        """
        self.connection.settimeout(WRITE_SECONDS)
        try:
            for start in range(0, len(content), WRITE_BYTES):
                self.server.keep_alive(self.connection)
                self.connection.sendall(content[start : start + WRITE_BYTES])
        finally:
            self.connection.settimeout(self.timeout)

    def _send_lines(self, messages: Iterator[Any]) -> None:
        """Send one JSON object a line as soon as it is available; lines in quick succession are sent together."""
        assert isinstance(messages, Generator)
        with closing(messages):
            first = next(messages)  # a refusal of the whole request is raised here, so that its status is sent
            self._streaming = True
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            waiting, sent = [to_bytes(first)], -math.inf
            for message in messages:
                if time.monotonic() - sent > GATHER_SECONDS:
                    self._send_chunk(b"\n".join([*waiting, b""]))
                    waiting, sent = [], time.monotonic()
                waiting.append(to_bytes(message))
        self._send_chunk(b"\n".join([*waiting, b""]))
        self._send_chunk(b"")

    def _send_chunk(self, content: bytes) -> None:
        """Send a part of a reply; all parts together may wait ``LINES_SECONDS`` for the client."""
        started = time.monotonic()
        self.connection.settimeout(max(self._line_seconds, 0.01))
        try:
            self.connection.sendall(b"%x\r\n%b\r\n" % (len(content), content))
        finally:
            self.connection.settimeout(self.timeout)
        self._line_seconds -= time.monotonic() - started
