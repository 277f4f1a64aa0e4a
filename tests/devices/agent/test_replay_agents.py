"""An agent in another language, whose device is a double: it replays what LiteRT gave here for the same inputs.

MOBILEDET_REPLAY_AGENT is its command; it takes --recordings, --cache, --sessions, --idle-seconds and --body-bytes, and
prints its address and its token as ``mobiledet agent`` does. ``make test-ios`` and
``make test-android`` set it.
"""

import hashlib
import json
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.data.images import load_rgb
from mobiledet.data.resize import resize_to_input
from mobiledet.devices import open_device
from mobiledet.devices.agent.checks import CHECKS
from mobiledet.devices.agent.subject import Subject
from mobiledet.devices.base import Frame
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec

COMMAND = os.environ.get("MOBILEDET_REPLAY_AGENT", "")
if not COMMAND:
    pytest.skip("no agent in another language is at hand (MOBILEDET_REPLAY_AGENT)", allow_module_level=True)


class Replaying:
    """Such an agent in a process of its own."""

    def __init__(self, recordings: Path, cache: Path, *options: str, shell: str = "") -> None:
        command = [*shlex.split(COMMAND), "--recordings", str(recordings), "--cache", str(cache), *options]
        if shell:
            command = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'{shell} && exec "$@"', "sh", *command]
        self.cache = cache
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        lines = [self.process.stdout.readline() for _ in range(2)]
        self.url, self.token = lines[0].split()[1].rstrip(","), lines[1].split()[1]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def pictures(patch_data: Path) -> list[Path]:
    return sorted((patch_data / "val2017").glob("*.jpg"))


@pytest.fixture(scope="module")
def recordings(patch_bundle: Bundle, pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(patch_bundle, pictures, tmp_path_factory.mktemp("recordings") / "recordings.json")


def record(bundle: Bundle, pictures: list[Path], path: Path) -> Path:
    """Write what LiteRT gives for the golden inputs of a bundle and for each picture."""
    runner = Interpreter(str(bundle.root / bundle.select().path)).get_signature_runner()
    ((name, details),) = runner.get_input_details().items()
    inputs = [case.image for case in bundle.golden(bundle.select())]
    inputs += [resize_to_input(load_rgb(picture), bundle.spec.input) for picture in pictures]
    cases = []
    for image in inputs:
        outputs = {
            key: values[0].tolist() for key, values in runner(**{name: image[None].astype(details["dtype"])}).items()
        }
        cases.append({"input_sha256": hashlib.sha256(image.tobytes()).hexdigest(), **outputs})
    path.write_text(json.dumps({"cases": cases}))
    return path


@pytest.fixture(scope="module")
def replaying(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    """An agent that many tests speak to."""
    running = Replaying(recordings, tmp_path_factory.mktemp("replaying"), "--sessions", "3", "--idle-seconds", "0")
    yield running
    running.end()


@pytest.fixture
def start(recordings: Path, tmp_path: Path) -> Iterator[Callable[..., Replaying]]:
    """Starts an agent of a test's own, with options."""
    running: list[Replaying] = []

    def started(*options: str, shell: str = "") -> Replaying:
        cache = tmp_path / f"cache-{len(running)}"
        cache.mkdir()
        running.append(Replaying(recordings, cache, *options, shell=shell.format(cache=cache)))
        return running[-1]

    yield started
    for agent in running:
        agent.end()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_to_the_protocol(
    check: Callable[[Subject], None], replaying: Replaying, patch_bundle: Bundle, tmp_path: Path
) -> None:
    check(Subject(replaying.url, replaying.token, patch_bundle, patch_bundle.select(), tmp_path))
    assert not list(replaying.cache.parent.rglob("escaped"))
    assert not list(replaying.cache.glob(".*.tmp"))


def test_command_passes_it(
    replaying: Replaying, patch_bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILEDET_AGENT_TOKEN", replaying.token)
    assert cli.main(["agent-check", replaying.url, "--bundle", str(patch_bundle.path)]) == 0
    assert f"{len(CHECKS)} of {len(CHECKS)} checks pass: {replaying.url}" in capsys.readouterr().out


def test_evaluation_scores_what_this_machine_scores(
    replaying: Replaying, patch_bundle: Bundle, patch_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the JPEG file to mAP: pictures are decoded and resized to the same bytes there, so the numbers are equal."""
    monkeypatch.setenv("MOBILEDET_AGENT_TOKEN", replaying.token)
    results = {}
    for device in ("local", replaying.url):
        out = tmp_path / f"{len(results)}.json"
        arguments = ["--device", device, "--data", str(patch_data), "--min-seconds", "0", "--out", str(out)]
        assert cli.main(["evaluate", str(patch_bundle.path), *arguments]) == 0
        results[device] = json.loads(out.read_text())
    local, remote = results.values()
    for result in (local, remote):
        assert set(result["accuracy"].pop("stages")) == {"decode", "preprocess", "infer", "postprocess"}
    assert remote["accuracy"] == local["accuracy"]
    assert remote["device"]["runtime"] == "replay"


@pytest.mark.usefixtures("impatient")
def test_connection_that_is_cut_again_and_again(
    replaying: Replaying, pictures: list[Path], detect_through_cuts: Callable[..., list[tuple[Frame, Frame]]]
) -> None:
    for a, b in detect_through_cuts(replaying.url, replaying.token, pictures * 10):
        np.testing.assert_allclose(b.detections.boxes_xyxy, a.detections.boxes_xyxy, atol=1e-4)
        np.testing.assert_allclose(b.detections.scores, a.detections.scores, atol=1e-6)
        assert b.detections.labels.tolist() == a.detections.labels.tolist()


def test_orientation_and_pictures_that_are_none(
    replaying: Replaying, patch_bundle: Bundle, pictures: list[Path], tmp_path: Path
) -> None:
    """A damaged picture among sound ones costs nothing but itself; PNG files and turned ones are read too."""
    from PIL import Image

    turned = Image.fromarray(load_rgb(pictures[2])).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it back by a quarter to the right
    turned.save(tmp_path / "turned.png", exif=exif)
    (tmp_path / "cut.jpg").write_bytes(pictures[3].read_bytes()[:300])
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    images = [tmp_path / "none.jpg", tmp_path / "turned.png", tmp_path / "cut.jpg", pictures[4]]
    session = open_device(replaying.url, replaying.token).load(patch_bundle, patch_bundle.select())
    session.golden()
    frames = list(session.detect(images, apply_orientation=True))
    assert [bool(frame.problem) for frame in frames] == [True, False, True, False]
    (expected,) = open_device("local").load(patch_bundle, patch_bundle.select()).detect([pictures[2]])
    assert (frames[1].height, frames[1].width) == load_rgb(pictures[2]).shape[:2]
    np.testing.assert_allclose(frames[1].detections.boxes_xyxy, expected.detections.boxes_xyxy, atol=1e-4)


@pytest.mark.parametrize("place", ["centre", "top-left"])
def test_letterboxed_pictures_give_what_they_give_here(
    write_patch_bundle: Callable[..., Bundle],
    write_boxed_data: Callable[[Path, InputSpec], Path],
    place: Any,
    tmp_path: Path,
) -> None:
    size = InputSpec(64, 128, resize="letterbox", padding="black", placement=place)
    bundle = write_patch_bundle(tmp_path, "wide", size)
    images = sorted((write_boxed_data(tmp_path / "data", size) / "val2017").iterdir())
    expected = list(open_device("local").load(bundle, bundle.select()).detect(images))
    (tmp_path / "cache").mkdir()
    agent = Replaying(record(bundle, images, tmp_path / "recordings.json"), tmp_path / "cache")
    try:
        session = open_device(agent.url, agent.token).load(bundle, bundle.select())
        assert session.golden().detections == 4
        for here, there in zip(expected, session.detect(images), strict=True):
            assert len(here.detections) == 4
            np.testing.assert_allclose(there.detections.boxes_xyxy, here.detections.boxes_xyxy, atol=1e-4)
            np.testing.assert_array_equal(there.detections.labels, here.detections.labels)
    finally:
        agent.end()


@pytest.mark.usefixtures("impatient")
def test_agent_that_is_killed_while_it_measures(
    start: Callable[..., Replaying], patch_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = start()
    threading.Timer(3, agent.process.kill).start()
    out = tmp_path / "result.json"
    arguments = ["--device", agent.url, "--token", agent.token, "--no-accuracy", "--out", str(out)]
    assert cli.main(["evaluate", str(patch_bundle.path), *arguments, "--min-seconds", "60"]) == 2
    assert "error: cannot reach the agent at http" in capsys.readouterr().err
    assert not out.exists()


def test_agent_stops_in_order(start: Callable[..., Replaying], patch_bundle: Bundle) -> None:
    agent = start()
    session = open_device(agent.url, agent.token).load(patch_bundle, patch_bundle.select())
    session.golden()
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(20) == 0
    assert agent.process.stdout
    assert agent.process.stdout.read().endswith("agent: stopping\n")
    assert [path.stem for path in agent.cache.iterdir()] == [patch_bundle.sha256]  # a zip, or a folder


def test_wrong_token(replaying: Replaying) -> None:
    with pytest.raises(UserError, match="the token is missing or wrong"):
        open_device(replaying.url, "wrong")


def test_sessions_have_a_limit(start: Callable[..., Replaying], patch_bundle: Bundle) -> None:
    agent, file = start("--sessions", "2", "--idle-seconds", "1000"), patch_bundle.select()
    device = open_device(agent.url, agent.token)
    held = [device.load(patch_bundle, file) for _ in range(2)]
    with pytest.raises(UserError, match="2 sessions are open"):
        device.load(patch_bundle, file)
    held.pop()  # which closes it
    device.load(patch_bundle, file)


def test_many_clients_at_once(replaying: Replaying, patch_bundle: Bundle, pictures: list[Path]) -> None:
    file = patch_bundle.select()
    expected = [len(frame.detections) for frame in open_device("local").load(patch_bundle, file).detect(pictures)]
    results: list[list[int]] = []

    def work() -> None:
        session = open_device(replaying.url, replaying.token).load(patch_bundle, file)
        session.golden()
        results.append([len(frame.detections) for frame in session.detect(pictures * 3)])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected * 3] * 3


def test_bundle_that_is_too_large_is_not_sent(start: Callable[..., Replaying], patch_bundle: Bundle) -> None:
    agent = start("--body-bytes", "1000")
    with pytest.raises(UserError, match=r"too large for the agent at .*which accepts 1000 bytes"):
        open_device(agent.url, agent.token).load(patch_bundle, patch_bundle.select())


@pytest.mark.parametrize(
    ("kilobytes", "reason"), [(16, "the device's storage is full"), (36, "no room for [0-9]+ bytes")]
)
def test_device_that_is_full(
    start: Callable[..., Replaying], patch_bundle: Bundle, kilobytes: int, reason: str
) -> None:
    """A file system of a few kilobytes, which the bundle fills while it arrives, or could not hold unpacked."""
    agent = start(shell=f"mount -t tmpfs -o size={kilobytes}k tmpfs {{cache}}")
    device = open_device(agent.url, agent.token)
    with pytest.raises(UserError, match=reason):
        device.load(patch_bundle, patch_bundle.select())
    with pytest.raises(UserError, match=reason):  # nothing was left that would change the answer
        device.load(patch_bundle, patch_bundle.select())
