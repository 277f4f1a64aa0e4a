import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobiledet.bundle import Bundle
from mobiledet.devices import open_device
from mobiledet.devices.agent import connection
from mobiledet.devices.agent.messages import Limits
from mobiledet.devices.agent.server import AgentServer
from mobiledet.devices.agent.service import Agent
from mobiledet.devices.base import Frame

TOKEN = "a-token-for-these-tests"


@dataclass
class RunningAgent:
    """An agent in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    token: str
    cache: Path


def start_agent(cache: Path, *options: str) -> RunningAgent:
    command = [sys.executable, "-m", "mobiledet.cli", "agent", "--cache", str(cache), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(4)]
    return RunningAgent(process, lines[0].split()[1].rstrip(","), lines[1].split()[1], cache)


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent that many tests speak to."""
    running = start_agent(tmp_path_factory.mktemp("agent"), "--sessions", "3", "--idle-seconds", "0")
    yield running
    running.process.terminate()
    assert running.process.wait(20) == 0


@pytest.fixture
def own_agent(tmp_path: Path) -> Iterator[RunningAgent]:
    """An agent that a test may kill."""
    running = start_agent(tmp_path / "own-agent")
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries that do not wait for long."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", (0, 0.05, 0.1))


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[tuple[str, str]]]:
    """Serves an agent of some class in a thread of this process: ``(kind, folder)``; gives its URL and token."""

    @contextmanager
    def serving(
        kind: type[Agent], folder: Path, sessions: int = 4, idle_seconds: int = 0, body_bytes: int = 10_000_000
    ) -> Iterator[tuple[str, str]]:
        agent = kind(folder, Limits(body_bytes, 10_000_000, sessions, idle_seconds, wait_seconds=5))
        with AgentServer(("127.0.0.1", 0), agent, TOKEN) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}", TOKEN
            finally:
                server.shutdown()
                thread.join()
                agent.close()

    return serving


class CuttingProxy:
    """Passes bytes to an agent and back; cuts each of the first connections after some bytes of the replies."""

    def __init__(self, port: int, cuts: list[int]) -> None:
        self._port = port
        self._cuts = cuts
        self.used: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                agent = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return
            left = self._cuts.pop(0) if self._cuts else 1 << 60
            self.used.append(left)
            threading.Thread(target=self._pass, args=(client, agent, 1 << 60), daemon=True).start()
            threading.Thread(target=self._pass, args=(agent, client, left), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, left: int) -> None:
        with suppress(OSError):
            while left > 0 and (data := source.recv(min(left, 4096))):
                target.sendall(data)
                left -= len(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class PulledCable(CuttingProxy):
    """Passes everything until so many images have been answered, then nothing any more."""

    def __init__(self, port: int, answers: int) -> None:
        super().__init__(port, [])
        self._answers = answers

    def _pass(self, source: socket.socket, target: socket.socket, left: int) -> None:
        with suppress(OSError):
            while self._answers > 0 and (data := source.recv(4096)):
                target.sendall(data)
                self._answers -= data.count(b'"problem"')
        for end in (source, target, self._listener) if self._answers <= 0 else (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def pulled_cable() -> type[PulledCable]:
    """``PulledCable`` above."""
    return PulledCable


@pytest.fixture
def detect_through_cuts(
    patch_bundle: Bundle,
) -> Callable[[str, str, list[Path]], list[tuple[Frame, Frame]]]:
    """Detects on an agent, ``(url, token, images)``, whose connection is cut again and again; gives what this process
    and the agent make of each image, in order."""

    def detect(url: str, token: str, images: list[Path]) -> list[tuple[Frame, Frame]]:
        file = patch_bundle.select()
        expected = list(open_device("local").load(patch_bundle, file).detect(images))
        proxy = CuttingProxy(int(url.rpartition(":")[2]), [900, 2500, 100, 6500, 3000, 6500, 1500])
        try:
            session = open_device(proxy.url, token).load(patch_bundle, file)
            session.golden()
            found = list(session.detect(images))
        finally:
            proxy.close()
        assert len(proxy.used) >= 5
        assert [frame.image for frame in found] == images
        return list(zip(expected, found, strict=True))

    return detect
