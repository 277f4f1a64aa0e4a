"""The agent under test of ``mobiledet agent-check``, and requests to it."""

import http.client
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.devices.agent.client import zipped
from mobiledet.devices.agent.connection import AgentConnection, Reply
from mobiledet.devices.agent.messages import SessionInfo, SessionRequest, from_bytes

LOAD_SECONDS = 300.0


class Broken(Exception):
    """The agent violates the protocol."""


@dataclass
class Subject:
    """The agent under test, and the data for the tests.

    Attributes:
        url, token: address and token of the agent.
        bundle, file: a model file that its device can run.
        folder: folder for generated bundles.
    """

    url: str
    token: str
    bundle: Bundle
    file: ModelFile
    folder: Path

    def send(self, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None) -> Reply:
        """Send one request on a new connection."""
        connection = AgentConnection(self.url, self.token)
        try:
            return connection.exchange(method, path, body, headers, seconds=LOAD_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"{method} {path}: no reply ({str(error) or type(error).__name__})") from error
        finally:
            connection.close()

    def begin(self, method: str, path: str, *lengths: int) -> http.client.HTTPConnection:
        """Send only the head of a request, with these values of Content-Length."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=LOAD_SECONDS)
        connection.putrequest(method, path)
        connection.putheader("Authorization", f"Bearer {self.token}")
        for length in lengths:
            connection.putheader("Content-Length", str(length))
        connection.endheaders()
        return connection

    def expect(self, status: int, code: str, method: str, path: str, body: Any = b"", **options: Any) -> Reply:
        """Send a request and check the status and the code of the error message."""
        reply = self.send(method, path, body, **options)
        if reply.status != status or (status >= 400 and reply.error.code != code):
            found = f"{reply.status} {reply.error.code}" if reply.status >= 400 else str(reply.status)
            raise Broken(f"{method} {path}: answers {found}, not {status} {code}".rstrip())
        return reply

    def message(self, kind: Any, status: int, method: str, path: str, body: Any = b"") -> Any:
        """Send a request whose reply must be a message."""
        reply = self.expect(status, "", method, path, body)
        try:
            return from_bytes(kind, reply.content)
        except ValueError as error:
            raise Broken(f"{method} {path}: the reply is no {kind.__name__}: {error}") from error

    def upload(self, bundle: Bundle) -> int:
        """Upload a bundle; returns the status."""
        with zipped(bundle) as archive:
            reply = self.send("PUT", f"/v1/bundles/{bundle.sha256}", archive)
        if reply.status not in (200, 201):
            raise Broken(f"a sound bundle is refused: {reply.error.error}")
        return reply.status

    def session(self, golden: bool = True) -> str:
        """Open a session; returns its path."""
        self.upload(self.bundle)
        info: SessionInfo = self.message(SessionInfo, 201, "POST", "/v1/sessions", self.request())
        path = f"/v1/sessions/{info.id}"
        if golden:
            self.expect(200, "", "POST", f"{path}/golden")
        return path

    def request(self, bundle: str = "", file: str = "", accelerator: str = "auto") -> SessionRequest:
        """A request for a session with a new key."""
        return SessionRequest(
            secrets.token_hex(16), bundle or self.bundle.sha256, file or self.file.path, accelerator, 1
        )

    def refuses_archive(self, content: bytes, sha256: str) -> None:
        """Check that an upload is refused and leaves nothing behind."""
        path = f"/v1/bundles/{sha256}"
        self.expect(422, "bad_bundle", "PUT", path, content)
        self.expect(404, "unknown_bundle", "GET", path)
