"""What every endpoint of the agent protocol has in common over HTTP/1.1, with Python's own server."""

import hmac
import math
import re
import sys
import time
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from mobiledet.atomic import is_full
from mobiledet.devices.agent.messages import ErrorMessage, from_bytes, to_bytes
from mobiledet.devices.agent.refusal import Refusal

JSON_BODY_BYTES = 64 << 10
BLOCK_BYTES = 1 << 20
SOCKET_SECONDS = 60.0
GATHER_SECONDS = 0.02
NAME = "([^/]+)"


class ProtocolServer(ThreadingHTTPServer):
    """Serves whoever knows the token.

    Args:
        address: host and port to listen on.
        handler: of a connection.
        token: that every request must carry.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: "type[ProtocolHandler]", token: str) -> None:
        super().__init__(address, handler)
        self.token = token

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ProtocolHandler(BaseHTTPRequestHandler):
    """One connection; many requests follow each other on it."""

    protocol_version = "HTTP/1.1"
    timeout = SOCKET_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet
    # method, path, method of the handler; the groups of the path are its arguments
    routes: ClassVar[Sequence[tuple[str, str, str]]] = ()
    server: ProtocolServer

    def answer(self) -> None:
        """Serve any request."""
        self._unread = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        self._streaming = False
        try:
            self._refuse_stranger()
            self._route()
        except Refusal as refusal:
            self._refuse(refusal.status, refusal.code, str(refusal))
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:
            if self._streaming:  # the lines end without their end, so that the client knows
                traceback.print_exc()
                self.close_connection = True
                return
            if isinstance(error, OSError) and is_full(error):
                self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, "no_space", "the device's storage is full")
            else:
                traceback.print_exc()
                message = f"the agent failed: {type(error).__name__}"
                self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", message)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = answer

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: thousands of requests follow each other."""

    def _refuse_stranger(self) -> None:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", "the token is missing or wrong")

    def _route(self) -> None:
        path = urlsplit(self.path).path
        known = False
        for method, pattern, name in self.routes:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                return getattr(self, name)(*match.groups())
            known = known or match is not None
        if known:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"{path[:80]} has no {self.command}")
        raise Refusal(HTTPStatus.NOT_FOUND, "unknown_endpoint", f"there is no {path[:80]} in version 1 of the protocol")

    def _option(self, name: str, low: float, high: float) -> float:
        """A number of the query; ``low`` where it is missing."""
        text = self._text_option(name, str(low))
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) or not low <= float(text) <= high:
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", f"{name}={text[:40]!r} is not a number that it may be")
        return float(text)

    def _text_option(self, name: str, default: str = "") -> str:
        """A text of the query."""
        return parse_qs(urlsplit(self.path).query).get(name, [default])[-1]

    def _message(self, kind: type) -> Any:
        """The body as a message."""
        content = b"".join(self._blocks(JSON_BODY_BYTES))
        try:
            return from_bytes(kind, content)
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", f"the body is no {kind.__name__}: {error}") from error

    def _blocks(self, limit_bytes: int) -> Iterator[bytes]:
        """The body, block by block, whose length must be told before it comes."""
        text = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,18}", text) or "Transfer-Encoding" in self.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "length_required", "Content-Length is missing, or not alone")
        left = int(text)
        if left > limit_bytes:
            message = f"a body of {left} bytes is too large, {limit_bytes} are taken"
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
            self.close_connection = True

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
        # a body that nobody has read would be taken for the next request
        self.close_connection = self.close_connection or self._unread
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and status != HTTPStatus.NO_CONTENT:
            self.wfile.write(content)
        self.wfile.flush()

    def _send_lines(self, messages: Iterator[Any]) -> None:
        """One JSON object a line, sent as soon as it is known; those that follow each other quickly go together."""
        assert isinstance(messages, Generator)
        with closing(messages):
            first = next(messages)  # a request that is refused as a whole is refused by its status
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
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
        self.wfile.flush()
