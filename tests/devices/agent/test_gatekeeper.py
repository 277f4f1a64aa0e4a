"""Strangers at the door of a server: counted, hurried, and told apart from a page of others that a browser shows."""

import http.client
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http import HTTPStatus
from pathlib import Path

import pytest

from mobiledet.devices.agent import gatekeeper, http_handler
from mobiledet.devices.agent.http_handler import ProtocolHandler, ProtocolServer
from mobiledet.devices.agent.messages import ErrorMessage, from_bytes

TOKEN = "a-token-for-these-tests"


class Handler(ProtocolHandler):
    """Two endpoints: a short answer, and lines that do not end."""

    routes = (("GET", "/short", "_short"), ("GET", "/lines", "_lines"), ("POST", "/short", "_take"))
    computing = threading.Lock()

    def _short(self) -> None:
        self._send(ErrorMessage("fine", ""))

    def _take(self) -> None:
        self._send(ErrorMessage(str(len(b"".join(self._blocks(1000)))), ""))

    def _lines(self) -> None:
        def lines() -> Iterator[ErrorMessage]:
            with self.computing:
                for _ in range(1_000_000):
                    yield ErrorMessage("x" * 5000, "")

        self._send_lines(lines())


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer(("127.0.0.1", 0), Handler, TOKEN, ("board.example",)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _ask(server: ProtocolServer, headers: list[tuple[str, str]], path: str = "/short", method: str = "GET") -> bytes:
    """The whole reply to one request with just these headers."""
    with socket.create_connection(server.server_address[:2], timeout=20) as connection:  # type: ignore[arg-type]
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


AUTHORIZED = ("Authorization", f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:80", "localhost:1", "[::1]:80", "BOARD.example", "board.example.:8", "10.0.0.7"]
)
def test_names_that_are_ours(host: str, server: ProtocolServer) -> None:
    assert b" 200 " in _ask(server, [("Host", host), AUTHORIZED])
    assert b" 200 " in _ask(server, [("Host", host), AUTHORIZED, ("Origin", f"http://{host}")])


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "", "a@localhost"]
)
def test_a_page_whose_name_leads_here_is_refused(host: str, server: ProtocolServer) -> None:
    """DNS rebinding: even with the token, and before it is looked at."""
    for headers in ([("Host", host), AUTHORIZED], [("Host", host)]):
        reply = _ask(server, headers)
        assert b" 421 " in reply
        assert b'"code":"wrong_host"' in reply


def test_requests_without_host_or_with_two(server: ProtocolServer) -> None:
    for hosts in ([], ["localhost", "localhost"]):
        assert b" 421 " in _ask(server, [*(("Host", host) for host in hosts), AUTHORIZED])


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "file://", "http://[x"])
def test_requests_of_other_pages_are_refused(origin: str, server: ProtocolServer) -> None:
    reply = _ask(server, [("Host", "localhost:2"), AUTHORIZED, ("Origin", origin)])
    assert b" 403 " in reply or b" 400 " in reply
    assert b" 200 " not in reply


def test_every_reply_has_headers_for_browsers(server: ProtocolServer) -> None:
    for headers in ([AUTHORIZED, ("Host", "localhost")], [("Host", "localhost")], [("Host", "evil.example")]):
        reply = _ask(server, headers).partition(b"\r\n\r\n")[0].decode()
        for name, value in gatekeeper.HEADERS.items():
            assert f"\r\n{name}: {value}" in reply
        assert "\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'" in reply


@pytest.mark.parametrize("lengths", [("5", "6"), ("5", "5"), ("0", "5")])
def test_more_than_one_length_is_refused(lengths: tuple[str, str], server: ProtocolServer) -> None:
    headers = [("Host", "localhost"), AUTHORIZED, *(("Content-Length", length) for length in lengths)]
    reply = _ask(server, headers, method="POST")
    assert b" 400 " in reply
    assert b"Content-Length is given more than once" in reply


@pytest.mark.parametrize("path", ["http://[", "//[::1", "/short?" + "&".join("a=b" for _ in range(2000)), "/%ff%00"])
def test_paths_that_cannot_be_read_are_no_fault_of_the_server(path: str, server: ProtocolServer) -> None:
    assert b" 500 " not in _ask(server, [("Host", "localhost"), AUTHORIZED], path)


def test_strangers_are_shown_out_and_whoever_has_the_token_stays(
    server: ProtocolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gatekeeper, "STRANGER_SECONDS", 0.3)
    address = server.server_address[:2]
    known = http.client.HTTPConnection(str(address[0]), int(address[1]), timeout=10)
    known.request("GET", "/short", headers={"Authorization": f"Bearer {TOKEN}"})
    assert known.getresponse().read()
    with ExitStack() as stack:
        idle = stack.enter_context(socket.create_connection(address, timeout=10))  # type: ignore[arg-type]
        slow = stack.enter_context(socket.create_connection(address, timeout=10))  # type: ignore[arg-type]
        started = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - started < 5:  # a byte at a time, for as long as one likes
                slow.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - started < 3
        assert idle.recv(1) == b""
    time.sleep(0.5)
    known.request("GET", "/short", headers={"Authorization": f"Bearer {TOKEN}"})
    assert known.getresponse().read()
    known.close()


def test_many_idle_strangers_do_not_keep_others_out(server: ProtocolServer) -> None:
    server.max_connections = 8
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(server.server_address[:2], timeout=10))  # type: ignore[arg-type]
        started = time.monotonic()
        assert b" 200 " in _ask(server, [("Host", "localhost"), AUTHORIZED])
        assert time.monotonic() - started < 2
        while len(server._connections) > 8 and time.monotonic() - started < 4:
            time.sleep(0.05)
        assert len(server._connections) <= 8


def test_many_requests_at_once_beside_slow_ones(server: ProtocolServer) -> None:
    """As 200 hosts that ask at the same moment, beside 50 strangers that say nothing."""
    replies: list[bytes] = []

    def ask() -> None:
        replies.append(_ask(server, [("Host", "localhost"), AUTHORIZED]))

    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(socket.create_connection(server.server_address[:2], timeout=10))  # type: ignore[arg-type]
        threads = [threading.Thread(target=ask) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sum(b" 200 " in reply for reply in replies) == 200


def test_a_client_that_does_not_read_does_not_keep_the_device(
    server: ProtocolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_handler, "LINES_SECONDS", 0.5)
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:  # type: ignore[arg-type]
        connection.sendall(f"GET /lines HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        deadline = time.monotonic() + 10
        while not Handler.computing.locked() and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.monotonic()
        assert Handler.computing.acquire(timeout=10)
        Handler.computing.release()
        assert time.monotonic() - started < 5


STARVED = """
import resource, sys, threading, time
sys.path.insert(0, sys.argv[1])
from mobiledet.devices.agent.http_handler import ProtocolHandler, ProtocolServer
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
server = ProtocolServer(("127.0.0.1", 0), ProtocolHandler, "a-token-for-these-tests")
server.max_connections = 10_000  # so that the system's limit comes first
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.readline()
"""


def test_at_the_limit_of_descriptors_it_waits_and_recovers(tmp_path: Path) -> None:
    """It used to ask for connections without a pause: a core was gone, and with it the latencies that were measured."""
    command = [sys.executable, "-c", STARVED, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process, ExitStack() as stack:
        assert process.stdout
        assert process.stdin
        port = int(process.stdout.readline())
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        before, started = _cpu_seconds(process.pid), time.monotonic()
        time.sleep(2)
        used = (_cpu_seconds(process.pid) - before) / (time.monotonic() - started)
        assert used < 0.3
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/nothing", headers={"Authorization": f"Bearer {TOKEN}"})
        assert connection.getresponse().status == HTTPStatus.NOT_FOUND
        connection.close()
        process.stdin.close()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_server_takes_no_more_connections_than_the_system_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, 100))
    with ProtocolServer(("127.0.0.1", 0), Handler, TOKEN) as server:
        assert server.max_connections == 100 - gatekeeper.SPARE_DESCRIPTORS


@pytest.mark.parametrize(
    "change",
    [
        '"threads": 20000',
        '"threads": 2147483648',
        '"threads": -1',
        '"threads": ' + "9" * 400,
        '"key": "' + "k" * 300 + '"',
        '"key": ""',
    ],
)
def test_numbers_of_a_session_have_bounds(change: str) -> None:
    from mobiledet.devices.agent.messages import SessionRequest

    sound = '{"key": "k", "bundle": "b", "file": "f", "accelerator": "auto", "threads": 1}'
    assert from_bytes(SessionRequest, sound.encode()).threads == 1
    name = change.split(":")[0]
    fields = [change if field.strip(" {").startswith(name) else field for field in sound.strip("{}").split(", ")]
    with pytest.raises(ValueError, match=r"(threads|key) is .*, not "):
        from_bytes(SessionRequest, ("{" + ", ".join(fields) + "}").encode())


@pytest.mark.parametrize("field", ["runs", "warmup_runs", "seconds", "warmup_seconds", "fps", "state_seconds"])
@pytest.mark.parametrize("value", ["9" * 400, "1e999", "-1", "1e300", "NaN"])
def test_numbers_of_a_plan_have_bounds(field: str, value: str) -> None:
    from mobiledet.devices.agent.messages import BenchRequest

    plan = {
        "warmup_runs": "1",
        "warmup_seconds": "0",
        "warmup_limit_seconds": "0",
        "runs": "5",
        "seconds": "0",
        "fps": "0",
        "state_seconds": "0",
    }
    text = ", ".join(f'"{name}": {number}' for name, number in {**plan, field: value}.items())
    with pytest.raises(ValueError, match=rf"plan\.{field} is |NaN is not"):
        from_bytes(BenchRequest, f'{{"key": "k", "plan": {{{text}}}}}'.encode())
