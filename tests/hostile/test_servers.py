"""Requests as a scanner, a broken client or a web page of others would send them to a real agent."""

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Trials
from mutations import mutated_bytes, mutated_text

from mobiledet.bundle import Bundle
from mobiledet.devices.agent.client import AgentDevice, AgentSession, zipped
from mobiledet.devices.agent.messages import Limits
from mobiledet.devices.agent.server import AgentServer
from mobiledet.devices.agent.service import Agent

TOKEN = "a-token-for-these-tests"
PATHS = ("/v1/info", "/v1/state", "/v1/sessions", "/v1/bundles/" + "0" * 64, "/v1/jobs/x?wait=0", "/v1/nothing", "/")
HEADERS = (
    "Host: evil.example",
    "Host:",
    "Content-Length: -1",
    "Content-Length: 1e3",
    "Content-Length: 99999999999999999999",
    "Content-Length: 5\r\nContent-Length: 6",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Origin: null",
    "Origin: http://evil.example",
    "Authorization: Bearer " + "x" * 5000,
    "Authorization: Basic Zm9vOmJhcg==",
    "Authorization: Bearer \xff\xfe",
    "X: " + "y" * 60_000,
    " folded: value",
    "\x00: \x00",
    "Connection: upgrade",
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    limits = Limits(body_bytes=1_000_000, bundle_bytes=50_000_000, sessions=2, idle_seconds=0, wait_seconds=5)
    service = Agent(tmp_path_factory.mktemp("agent"), limits)
    with AgentServer(("127.0.0.1", 0), service, TOKEN) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
    service.close()


@pytest.fixture(scope="module")
def session(agent: str, patch_bundle: Bundle) -> AgentSession:
    session = AgentDevice(agent, TOKEN).load(patch_bundle, patch_bundle.select(), threads=1)
    session.golden()
    return session


def _send(url: str, content: bytes) -> bytes:
    """Some bytes, and the first ones that come back."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        with suppress(OSError):
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            return connection.recv(1 << 16)
    return b""


def _request(rng: random.Random) -> bytes:
    method = rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "TRACE", "get", "\x00"])
    lines = [f"{method} {rng.choice(PATHS)} {rng.choice(['HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/9.9', ''])}"]
    lines += ["Host: localhost"] * (rng.random() < 0.9)
    lines += [f"Authorization: Bearer {TOKEN}"] * (rng.random() < 0.8)
    lines += rng.sample(HEADERS, rng.randint(0, 3))
    content = "\r\n".join([*lines, "", ""]).encode("latin-1") + rng.randbytes(rng.choice([0, 0, 10, 5000]))
    return mutated_bytes(content, rng) if rng.random() < 0.4 else content


def test_requests_of_all_sorts(trials: Trials, agent: str, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(trials.count(150, 1500)):
        content = _request(trials.rng)
        started = time.monotonic()
        reply = _send(agent, content)
        assert b" 500 " not in reply.partition(b"\r\n")[0], content[:200]
        assert time.monotonic() - started < 15, content[:200]
        trials.held(b" 200 " not in reply)
    _is_well(agent)
    assert "Traceback" not in capfd.readouterr().err


def test_bodies_of_all_sorts(
    trials: Trials, agent: str, session: AgentSession, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the token, to every endpoint that takes a body."""
    plan = {"warmup_runs": 0, "warmup_seconds": 0, "warmup_limit_seconds": 0, "runs": 1, "seconds": 0, "fps": 0}
    bench = {"key": "k", "plan": {**plan, "state_seconds": 0}}
    request = {"key": "k", "bundle": "0" * 64, "file": "model", "accelerator": "auto", "threads": 1}
    for _ in range(trials.count(100, 1000)):
        path, body = trials.rng.choice(
            [
                ("/v1/sessions", mutated_text(request, trials.rng)),
                ("/v1/sessions/nobody/bench", mutated_text(bench, trials.rng)),  # a sound one would measure
                (f"{session._path}/images", trials.rng.randbytes(trials.rng.choice([0, 3, 4, 100]))),
                (f"{session._path}/images?orientation={trials.rng.choice(['2', 'x', '-1', '0'])}", b"\0\0\0\1x"),
                (f"{session._path}/tensor", trials.rng.randbytes(trials.rng.choice([0, 5, 64 * 64 * 3]))),
                (f"{session._path}/golden", b"[" * trials.rng.choice([0, 10_000])),
            ]
        )
        status = _ask(agent, "POST", path, body)
        assert status not in (500, 0), (path, body[:200])
        trials.held(status >= 400)
    _is_well(agent)
    assert "Traceback" not in capfd.readouterr().err


def test_uploads_of_all_sorts(
    trials: Trials, agent: str, patch_bundle: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    with zipped(patch_bundle) as archive:
        sound = archive.read_bytes()
    for _ in range(trials.count(30, 300)):
        content = mutated_bytes(sound, trials.rng)
        status = _ask(agent, "PUT", f"/v1/bundles/{patch_bundle.sha256}", content)
        assert status in (200, 201, 413, 422)
        trials.held(status >= 400)
    _is_well(agent)
    assert "Traceback" not in capfd.readouterr().err


def _ask(url: str, method: str, path: str, body: bytes) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _is_well(url: str) -> None:
    """It answers as ever, and keeps nothing of what it was sent."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/v1/info", headers={"Authorization": f"Bearer {TOKEN}"})
    assert json.loads(connection.getresponse().read())["protocol"] >= 1
    connection.close()


def test_a_disk_without_room(
    trials: Trials, patch_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that bundles are unpacked in is full: that is told as such, and nothing is kept."""
    import shutil
    from collections import namedtuple

    from mobiledet.devices.agent.bundle_store import BundleStore
    from mobiledet.devices.agent.refusal import Refusal

    usage = namedtuple("usage", "total used free")
    store = BundleStore(tmp_path / "cache", 1 << 30, 1 << 30)
    with zipped(patch_bundle) as archive:
        content = archive.read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 10, 0))
    with pytest.raises(Refusal) as refused:
        store.add(patch_bundle.sha256, [content])
    assert (refused.value.status, refused.value.code) == (507, "no_space")
    assert list((tmp_path / "cache").iterdir()) == []
    trials.held(refused=True)


def test_a_cache_that_is_full(trials: Trials, patch_bundle: Bundle, tmp_path: Path) -> None:
    """Bundles that were used longest ago make room."""
    import os

    from mobiledet.devices.agent.bundle_store import BundleStore

    with zipped(patch_bundle) as archive:
        content = archive.read_bytes()
    store = BundleStore(tmp_path, 1 << 30, 3 * len(content))
    for index in range(3):
        other = tmp_path / f"{index:064x}.zip"
        other.write_bytes(content)
        os.utime(other, (index + 1000, index + 1000))
    store.open("0" * 63 + "0")  # used now
    assert store.add(patch_bundle.sha256, [content])
    kept = {path.name[:64] for path in tmp_path.iterdir()}
    assert kept == {"0" * 64, f"{2:064x}", patch_bundle.sha256}
    trials.held()
