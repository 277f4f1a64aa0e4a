"""The broker over HTTP: the page's files for anybody, requests for whoever knows the token."""

import mimetypes
import re
import select
import shutil
import socket
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mobiledet.devices.agent.http_handler import NAME, ProtocolHandler, ProtocolServer
from mobiledet.devices.agent.refusal import Refusal
from mobiledet.devices.browser.broker import Broker, Part

BODY_BYTES = 256_000_000  # also in the page's limits
WAIT_SECONDS = 30.0
BROKER = "/v1/broker/"
REPLY_TYPES = frozenset({"application/json", "application/x-ndjson", "text/plain"})
# what gives a page threads: no window and no file of another origin shares its process
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
MIME_TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}


class BrokerServer(ProtocolServer):
    """Serves the page, and what it and hosts tell each other.

    Args:
        address: host and port to listen on.
        site: folder of the page.
        broker: between hosts and the page.
        token: of both.
        bundle: folder of a bundle that the page offers to people, at ``bundle/``; None for none.
    """

    def __init__(
        self, address: tuple[str, int], site: Path, broker: Broker, token: str, bundle: Path | None = None
    ) -> None:
        super().__init__(address, BrokerHandler, token)
        self.broker = broker
        # a table, so that no path leads out of the folders
        self.files = _files(site)
        if bundle:
            self.files |= {f"bundle/{name}": path for name, path in _files(bundle).items()}


class BrokerHandler(ProtocolHandler):
    """One connection of a browser or a host."""

    server: BrokerServer
    routes = (
        ("GET", f"{BROKER}next", "_next"),
        ("POST", f"{BROKER}replies/{NAME}", "_take_reply"),
    )

    def answer(self) -> None:
        """Serve any request; those of browsers for files carry no token."""
        name = unquote(urlsplit(self.path).path).lstrip("/") or "index.html"
        if self.command in ("GET", "HEAD") and "Authorization" not in self.headers and name in self.server.files:
            self._send_file(self.server.files[name])
        else:
            super().answer()

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = answer

    def _route(self) -> None:
        if urlsplit(self.path).path.startswith(BROKER):
            super()._route()
        else:
            self._forward()

    def _send_file(self, path: Path) -> None:
        status = path.stat()
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        known = self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK)
        self.send_header("Content-Type", MIME_TYPES.get(path.suffix) or mimetypes.guess_type(path)[0] or "text/plain")
        self.send_header("Content-Length", "0" if known else str(status.st_size))
        self.send_header("Last-Modified", formatdate(status.st_mtime, usegmt=True))
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "no-cache")
        for header, value in ISOLATION.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "GET" and not known:
            with path.open("rb") as file:
                shutil.copyfileobj(file, self.wfile)

    def _forward(self) -> None:
        """Have the page serve a request of a host."""
        has_body = self.command in ("PUT", "POST") or self.headers.get("Content-Length", "0") != "0"
        body = b"".join(self._blocks(BODY_BYTES)) if has_body else b""
        parts = self.server.broker.forward(self.command, self.path, body, self._peer_waits)
        first = next(parts)
        if not first.more:
            self._send_content(first.content, first.content_type, HTTPStatus(first.status))
            return
        self._streaming = True
        self.send_response(first.status)
        self.send_header("Content-Type", first.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._send_chunk(first.content)
        for part in parts:
            if part.content:
                self._send_chunk(part.content)
        self._send_chunk(b"")

    def _next(self) -> None:
        errand = self.server.broker.next(
            self._text_option("page"), int(self._option("after", 0, 1e9)), self._option("wait", 0, WAIT_SECONDS)
        )
        if errand is None:
            self._send(None, HTTPStatus.NO_CONTENT)
            return
        headers = {
            "Agent-Request": str(errand.number),
            "Agent-Method": errand.method,
            "Agent-Path": errand.path,
        }
        self._send_content(errand.body, "application/octet-stream", headers=headers)

    def _take_reply(self, number: str) -> None:
        page, index = self._text_option("page"), int(self._option("part", 0, 1e9))
        status, kind = self.headers.get("Agent-Status", ""), self.headers.get("Content-Type", "").partition(";")[0]
        numbers = re.fullmatch("[2-5][0-9][0-9]", status) and re.fullmatch(r"\d{1,9}", number)
        if not numbers or kind not in REPLY_TYPES:
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", "this is no reply of an agent")
        content = b"".join(self._blocks(BODY_BYTES))
        part = Part(int(status), kind, content, "Agent-More" in self.headers)
        self.server.broker.reply(page, int(number), index, part)
        self._send(None, HTTPStatus.NO_CONTENT)

    def _peer_waits(self) -> bool:
        """Whether whoever asked keeps the connection open."""
        if not select.select([self.connection], [], [], 0)[0]:
            return True
        return self.connection.recv(1, socket.MSG_PEEK) != b""


def _files(folder: Path) -> dict[str, Path]:
    """All files in a folder by their relative paths."""
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
