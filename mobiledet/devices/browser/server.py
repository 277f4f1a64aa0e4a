"""The broker over HTTP: the page's own files for everybody; the bundle and requests for clients with the token."""

import base64
import hashlib
import mimetypes
import re
import select
import socket
from collections.abc import Collection
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote

from mobiledet.devices.agent.gatekeeper import NO_CONTENT_POLICY
from mobiledet.devices.agent.http_handler import NAME, WRITE_BYTES, ProtocolHandler, ProtocolServer
from mobiledet.devices.agent.refusal import Refusal
from mobiledet.devices.browser.broker import Broker, Part

BODY_BYTES = 256_000_000  # also in the page's limits
WAIT_SECONDS = 30.0
BROKER, BUNDLE = "/v1/broker/", "bundle/"
REPLY_TYPES = frozenset({"application/json", "application/x-ndjson", "text/plain"})
# headers that allow a page to use threads: it shares its process with no other origin
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
# only the page's own files may be loaded or run; LiteRT.js compiles WebAssembly and creates URLs of its own data
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob: {inline}; worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
INLINE = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
MIME_TYPES = {
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
# compressed versions of a file, the smallest first: content coding, and what is appended to the name
PACKED = {"br": ".br", "gzip": ".gz"}


class BrokerServer(ProtocolServer):
    """Serves the page, and the messages between it and hosts.

    Args:
        address: host and port to listen on.
        site: folder of the page.
        broker: the broker between hosts and the page.
        token: token of both.
        bundle: folder of a bundle that the page offers, at ``bundle/``; None for none.
        names: see ``GuardedServer``.
    """

    def __init__(
        self,
        address: tuple[str, int],
        site: Path,
        broker: Broker,
        token: str,
        bundle: Path | None = None,
        names: Collection[str] = (),
    ) -> None:
        super().__init__(address, BrokerHandler, token, names)
        self.broker = broker
        # tables, so that no path can lead outside the folders
        self.files = {name: path for name, path in _files(site).items() if not name.startswith(BUNDLE)}
        self.secret_files = {f"{BUNDLE}{name}": path for name, path in _files(bundle).items()} if bundle else {}
        page = self.files["index.html"].read_bytes() if "index.html" in self.files else b""
        digests = (base64.b64encode(hashlib.sha256(text).digest()).decode() for text in INLINE.findall(page))
        self.content_policy = CONTENT_POLICY.format(inline=" ".join(f"'sha256-{digest}'" for digest in digests))


class BrokerHandler(ProtocolHandler):
    """One connection of a browser or a host."""

    server: BrokerServer
    routes = (
        ("GET", f"{BROKER}next", "_next"),
        ("POST", f"{BROKER}replies/{NAME}", "_take_reply"),
    )

    def _serve(self) -> None:
        """Serve any request; those of browsers for the page's own files have no token."""
        name = unquote(self._url().path).lstrip("/") or "index.html"
        is_read = self.command in ("GET", "HEAD")
        if is_read and name in self.server.secret_files:
            self._require_token()
            self._send_file(self.server.secret_files[name], "private, no-store")
        elif is_read and name in self.server.files and "Authorization" not in self.headers:
            packed = {coding: self.server.files.get(f"{name}{suffix}") for coding, suffix in PACKED.items()}
            self._send_file(self.server.files[name], "no-cache", {key: path for key, path in packed.items() if path})
        else:
            super()._serve()

    def _route(self) -> None:
        if self._url().path.startswith(BROKER):
            super()._route()
        else:
            self._forward()

    def _send_file(self, path: Path, caching: str, packed: dict[str, Path] | None = None) -> None:
        """Send a file, or the first of its compressed versions, by content coding, that the client accepts."""
        kind = MIME_TYPES.get(path.suffix) or mimetypes.guess_type(path)[0] or "text/plain"
        accepted = _accepted(self.headers.get("Accept-Encoding", ""))
        coding = next((coding for coding in packed or () if coding in accepted), "")
        if packed and coding:
            path = packed[coding]
        status = path.stat()
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        known = self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        if packed:
            self.send_header("Vary", "Accept-Encoding")
        if coding:
            self.send_header("Content-Encoding", coding)
        self.send_header("Content-Length", "0" if known else str(status.st_size))
        self.send_header("Last-Modified", formatdate(status.st_mtime, usegmt=True))
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", caching)
        for header, value in ISOLATION.items():
            self.send_header(header, value)
        self._content_policy = self.server.content_policy
        self.end_headers()
        self._content_policy = NO_CONTENT_POLICY
        if self.command == "GET" and not known:
            with path.open("rb") as file:
                while block := file.read(WRITE_BYTES):
                    self._write(block)

    def _forward(self) -> None:
        """Let the page answer a request of a host."""
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
        request = self.server.broker.next(
            self._text_option("page"), int(self._option("after", 0, 1e9)), self._option("wait", 0, WAIT_SECONDS)
        )
        if request is None:
            self._send(None, HTTPStatus.NO_CONTENT)
            return
        headers = {
            "Agent-Request": str(request.number),
            "Agent-Method": request.method,
            "Agent-Path": request.path,
        }
        self._send_content(request.body, "application/octet-stream", headers=headers)

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
        """Whether the client keeps the connection open."""
        if not select.select([self.connection], [], [], 0)[0]:
            return True
        return self.connection.recv(1, socket.MSG_PEEK) != b""


def _accepted(header: str) -> set[str]:
    """The codings that an Accept-Encoding names and does not refuse (RFC 9110, 12.5.3)."""
    codings = (coding.replace(" ", "").lower().partition(";") for coding in header.split(","))
    return {name for name, _, weight in codings if not re.fullmatch(r"q=0(\.0{0,3})?", weight)}


def _files(folder: Path) -> dict[str, Path]:
    """All files in a folder by their relative paths."""
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
