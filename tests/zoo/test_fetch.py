"""Downloads from a real server on this machine: resumed, checked, kept."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mobiledet.errors import UserError
from mobiledet.zoo.fetch import fetch

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``CONTENT``; the first ``breaks`` answers end after half of it."""

    breaks = 0
    page = False
    version = '"1"'
    ranges: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        start = 0
        if self.headers.get("Range") and self.headers.get("If-Range") == self.server.version:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "text/html" if self.server.page else "application/octet-stream")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.send_header("ETag", self.server.version)
        self.end_headers()
        if self.server.breaks:
            self.server.breaks -= 1
            self.wfile.write(CONTENT[start : len(CONTENT) // 2])
            return
        self.wfile.write(CONTENT[start:])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.ranges = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/weights.pth"


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = fetch(address(server), tmp_path / "zoo" / "weights.pth", DIGEST[:8], lambda *seen: told.append(seen))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    fetch(address(server), path, DIGEST[:8])
    assert len(server.ranges) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["weights.pth"]


def test_a_download_that_broke_off_goes_on(server: Server, tmp_path: Path) -> None:
    server.breaks = 1
    path = tmp_path / "weights.pth"
    with pytest.raises(UserError, match=r"ended after 524288 of 1048576 bytes; .*--weights FILE"):
        fetch(address(server), path, DIGEST[:8])
    assert not path.exists()
    assert fetch(address(server), path, DIGEST[:8]).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=524288-"]


def test_the_rest_of_another_version_is_not_appended(server: Server, tmp_path: Path) -> None:
    server.breaks = 1
    with pytest.raises(UserError, match="ended after"):
        fetch(address(server), tmp_path / "weights.pth")
    server.version = '"2"'
    assert fetch(address(server), tmp_path / "weights.pth").read_bytes() == CONTENT


def test_another_digest(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"its SHA-256 is \w{8}\.\.\., published is deadbeef\.\.\.") as error:
        fetch(address(server), tmp_path / "weights.pth", "deadbeef")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("weights.pth*")) or not (tmp_path / "weights.pth").exists()
    assert not (tmp_path / "weights.pth.part").exists()


def test_a_kept_file_that_changed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"changed")
    with pytest.raises(UserError, match=r"weights.pth is not the file from .*; remove it, or give it to"):
        fetch(address(server), tmp_path / "weights.pth", DIGEST[:8])
    assert (tmp_path / "weights.pth").read_bytes() == b"changed"


def test_a_page_in_place_of_a_file(server: Server, tmp_path: Path) -> None:
    server.page = True
    with pytest.raises(UserError, match="sent a page, not a file"):
        fetch(address(server), tmp_path / "weights.pth")
    assert not (tmp_path / "weights.pth").exists()
