"""What goes wrong on the way, and agents that lie: nothing is lost, nothing wrong is reported."""

import dataclasses
import errno
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.devices import open_device
from mobiledet.devices.agent import bundle_store
from mobiledet.devices.agent.messages import (
    AgentInfo,
    BenchRequest,
    ErrorMessage,
    FoundLine,
    JobInfo,
    SessionInfo,
    SessionRequest,
)
from mobiledet.devices.agent.service import Agent
from mobiledet.devices.base import Frame, GoldenReport
from mobiledet.errors import UserError
from mobiledet.evaluation.result import read_result

Refused = Callable[[type[Agent], list[str], str], None]


@pytest.fixture
def refused(
    serve: Any, patch_bundle: Bundle, patch_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Evaluates on an agent of a kind with some options, which must end with a reason and without a result."""

    def check(kind: type[Agent], options: list[str], reason: str) -> None:
        out = tmp_path / "result.json"
        with serve(kind, tmp_path / "agent") as (url, token):
            arguments = ["--device", url, "--token", token, "--data", str(patch_data), *options, "--out", str(out)]
            assert cli.main(["evaluate", str(patch_bundle.path), *arguments]) == 2
        assert reason in capsys.readouterr().err
        assert not out.exists()

    return check


@pytest.mark.usefixtures("impatient")
def test_connection_that_is_cut_again_and_again(
    agent: Any, patch_data: Path, detect_through_cuts: Callable[..., list[tuple[Frame, Frame]]]
) -> None:
    """Cut in headers, in the middle of lines and between them: every detection still comes once, in its order."""
    images = sorted((patch_data / "val2017").glob("*.jpg")) * 10
    for a, b in detect_through_cuts(agent.url, agent.token, images):
        np.testing.assert_allclose(b.detections.boxes_xyxy, a.detections.boxes_xyxy, atol=1e-6)
        np.testing.assert_allclose(b.detections.scores, a.detections.scores, atol=1e-6)


def test_consumer_that_wants_no_more(agent: Any, patch_bundle: Bundle, patch_data: Path) -> None:
    """What is under way is broken off at once, and the session serves what comes next."""
    images = sorted((patch_data / "val2017").glob("*.jpg")) * 30
    session = open_device(agent.url, agent.token).load(patch_bundle, patch_bundle.select())
    session.golden()
    frames = session.detect(images)
    assert next(frames).image == images[0]
    started = time.monotonic()
    frames.close()
    assert time.monotonic() - started < 5
    assert len(list(session.detect(images[:3]))) == 3


@pytest.mark.usefixtures("impatient")
def test_cable_that_is_pulled_costs_a_batch(
    agent: Any,
    patch_bundle: Bundle,
    many_images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    pulled_cable: Any,
) -> None:
    """The connection dies for good in the middle; with a new cable the rest is run, and nothing twice."""
    out = tmp_path / "result.json"
    data = ["--data", str(many_images), "--limit", "200", "--no-latency"]
    arguments = [*data, "--token", agent.token, "--out"]
    cable = pulled_cable(int(agent.url.rpartition(":")[2]), answers=100)
    assert cli.main(["evaluate", str(patch_bundle.path), "--device", cable.url, *arguments, str(out)]) == 2
    errors = capsys.readouterr().err
    assert "error: cannot reach the agent" in errors
    (done,) = map(int, re.findall("([0-9]+) images are done and saved in", errors))
    assert 8 <= done < 200
    assert not out.exists()
    assert cli.main(["evaluate", str(patch_bundle.path), "--device", agent.url, *arguments, str(out)]) == 0
    assert f"images, {done} done before" in capsys.readouterr().err
    local = tmp_path / "local.json"
    assert cli.main(["evaluate", str(patch_bundle.path), *arguments, str(local)]) == 0
    resumed, whole = read_result(out).accuracy, read_result(local).accuracy
    assert resumed is not None
    assert whole is not None
    assert resumed.metrics == whole.metrics


@pytest.mark.usefixtures("impatient")
def test_agent_that_is_killed_while_it_measures(
    own_agent: Any, patch_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threading.Timer(4, own_agent.process.kill).start()
    out = tmp_path / "result.json"
    arguments = ["--device", own_agent.url, "--token", own_agent.token, "--no-accuracy", "--out", str(out)]
    assert cli.main(["evaluate", str(patch_bundle.path), *arguments, "--min-seconds", "60"]) == 2
    assert "error: cannot reach the agent at http" in capsys.readouterr().err
    assert not list(tmp_path.glob("*result*"))


def test_agent_stops_in_order(own_agent: Any, patch_bundle: Bundle) -> None:
    session = open_device(own_agent.url, own_agent.token).load(patch_bundle, patch_bundle.select())
    session.golden()
    own_agent.process.send_signal(signal.SIGTERM)
    assert own_agent.process.wait(20) == 0
    assert own_agent.process.stdout.read().endswith("agent: stopping\n")
    assert [path.suffix for path in own_agent.cache.iterdir()] == [".zip"]


@pytest.mark.parametrize(("token", "reason"), [("wrong", "the token is missing or wrong"), ("", "--token")])
def test_token(agent: Any, token: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOBILEDET_AGENT_TOKEN", raising=False)
    with pytest.raises(UserError, match=reason):
        open_device(agent.url, token)
    monkeypatch.setenv("MOBILEDET_AGENT_TOKEN", agent.token)
    assert open_device(agent.url).info().runtime == "litert"


def test_addresses_without_an_agent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(UserError, match=f"cannot reach the agent at http://127.0.0.1:{port}.*is it running"):
        open_device(f"http://127.0.0.1:{port}", "a-token")
    assert time.monotonic() - started < 2
    for address in ("http://phone", "http://phone:99999", "http://phone:80/path"):
        with pytest.raises(UserError, match="give http://HOST:PORT"):
            open_device(address, "a-token")


class Liar(Agent):
    """An agent that says its golden outputs are right, whatever they are, and changes what it found."""

    def golden(self, identity: str) -> GoldenReport:
        super().golden(identity)
        return GoldenReport(cases=2, detections=4, lowest_iou=1, largest_score_difference=0)

    def images(self, identity: str, batch: bytes, apply_orientation: bool) -> Iterator[Any]:
        lines = [line for line in super().images(identity, batch, apply_orientation) if isinstance(line, FoundLine)]
        yield from self.change(lines)

    def change(self, lines: list[FoundLine]) -> list[FoundLine]:
        return lines


class Zeros(Liar):
    """Gives zeros, as a runtime does that never ran."""

    def change(self, lines: list[FoundLine]) -> list[FoundLine]:
        return [
            dataclasses.replace(line, boxes=[[0.0] * 4] * len(line.boxes), scores=[0.0] * len(line.scores))
            for line in lines
        ]


class AnotherImage(Liar):
    """Gives the boxes of the image before."""

    def change(self, lines: list[FoundLine]) -> list[FoundLine]:
        return [dataclasses.replace(lines[index - 1], index=index) for index in range(len(lines))]


class Shuffled(Liar):
    """Gives its lines in another order."""

    def change(self, lines: list[FoundLine]) -> list[FoundLine]:
        return lines[::-1]


class ClockGoesBack(Liar):
    """Has a clock that was set back while it computed."""

    def change(self, lines: list[FoundLine]) -> list[FoundLine]:
        assert lines[0].times
        return [dataclasses.replace(line, times=dataclasses.replace(lines[0].times, infer=-5)) for line in lines]


class WrongUnit(Liar):
    """Counts time in other units than nanoseconds."""

    def change(self, lines: list[FoundLine]) -> list[FoundLine]:
        assert lines[0].times
        return [dataclasses.replace(line, times=dataclasses.replace(lines[0].times, infer=10**12)) for line in lines]


class WrongClass(Liar):
    """Gives classes that the model does not have."""

    def change(self, lines: list[FoundLine]) -> list[FoundLine]:
        return [dataclasses.replace(line, labels=[99] * len(line.labels)) for line in lines]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Zeros, "model.float32.tflite: all scores are zero; golden case 0: all scores are zero where 3"),
        (AnotherImage, "it returns the cases in another order"),
        (Shuffled, "not one for each of 2 images in their order"),
        (ClockGoesBack, "the device's clock went back: something took -5 ns"),
        (WrongUnit, "must be nanoseconds of a monotonic clock"),
        (WrongClass, "contains impossible detections: labels has a value"),
    ],
)
def test_agent_that_lies_is_refused(kind: type[Agent], reason: str, refused: Refused) -> None:
    refused(kind, ["--no-latency"], reason)


class OtherBundle(Agent):
    """Opens a session, but of another bundle than it was asked for."""

    def open_session(self, request: SessionRequest) -> SessionInfo:
        return dataclasses.replace(super().open_session(request), bundle="0" * 64)


class InBackground(Agent):
    """An app that leaves the foreground when it has answered a few images, or when it is measured."""

    def images(self, identity: str, batch: bytes, apply_orientation: bool) -> Iterator[Any]:
        for line in super().images(identity, batch, apply_orientation):
            yield line
            if self.answered >= 2:
                yield ErrorMessage("the app has left the foreground", "background")
                return
            self.answered += 1

    answered = 0

    def bench(self, identity: str, request: BenchRequest) -> JobInfo:
        error = ErrorMessage("the app has left the foreground", "background")
        return JobInfo(super().bench(identity, request).id, "failed", error=error)


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        (OtherBundle, ["--no-latency"], f"runs bundle {'0' * 12}, not"),
        (InBackground, ["--no-latency"], "the agent stopped: the app has left the foreground"),
        (InBackground, ["--min-runs", "1", "--min-seconds", "0"], "failed: the app has left the foreground"),
    ],
)
def test_agent_that_is_not_what_it_was(kind: type[Agent], options: list[str], reason: str, refused: Refused) -> None:
    refused(kind, options, reason)


class Newer(Agent):
    """Speaks a version that does not exist yet."""

    def info(self) -> AgentInfo:
        return dataclasses.replace(super().info(), protocol=2)


def test_agent_of_another_version(serve: Any, tmp_path: Path) -> None:
    with (
        serve(Newer, tmp_path) as (url, token),
        pytest.raises(UserError, match="has version 2 of the protocol, this is version 1"),
    ):
        open_device(url, token)


def test_sessions_have_a_limit(serve: Any, tmp_path: Path, patch_bundle: Bundle) -> None:
    file = patch_bundle.select()
    with serve(Agent, tmp_path, sessions=2, idle_seconds=1000) as (url, token):
        device = open_device(url, token)
        held = [device.load(patch_bundle, file) for _ in range(2)]
        with pytest.raises(UserError, match="2 sessions are open"):
            device.load(patch_bundle, file)
        held.pop()  # which closes it
        device.load(patch_bundle, file)


def test_many_clients_at_once(serve: Any, tmp_path: Path, patch_bundle: Bundle, patch_data: Path) -> None:
    """Four clients, each with its session, get what they asked for."""
    images = sorted((patch_data / "val2017").glob("*.jpg"))
    expected = [
        len(frame.detections) for frame in open_device("local").load(patch_bundle, patch_bundle.select()).detect(images)
    ]
    results: list[list[int]] = []

    def work(url: str, token: str) -> None:
        session = open_device(url, token).load(patch_bundle, patch_bundle.select())
        session.golden()
        results.append([len(frame.detections) for frame in session.detect(images * 3)])

    with serve(Agent, tmp_path) as (url, token):
        threads = [threading.Thread(target=work, args=(url, token)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [expected * 3] * 4


def test_bundle_that_is_too_large_is_not_sent(serve: Any, tmp_path: Path, patch_bundle: Bundle) -> None:
    with serve(Agent, tmp_path, body_bytes=1000) as (url, token):
        device = open_device(url, token)
        with pytest.raises(UserError, match=r"too large for the agent at .*which accepts 1000 bytes"):
            device.load(patch_bundle, patch_bundle.select())


def test_device_that_is_full(serve: Any, tmp_path: Path, patch_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before anything is unpacked, and when the disk fills up while the bundle arrives; nothing stays."""
    with serve(Agent, tmp_path) as (url, token):
        device = open_device(url, token)
        with monkeypatch.context() as patch:
            patch.setattr(bundle_store.shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
            with pytest.raises(UserError, match=r"no room for [0-9]+ bytes on the device"):
                device.load(patch_bundle, patch_bundle.select())
        with monkeypatch.context() as patch:

            def full(source: Path, target: Path) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(bundle_store.os, "replace", full)
            with pytest.raises(UserError, match="the device's storage is full"):
                device.load(patch_bundle, patch_bundle.select())
        assert not list(tmp_path.iterdir())
