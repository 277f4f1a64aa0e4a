"""The client against the real agent: Any, whose detections must be those of this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.devices import open_device
from mobiledet.devices.base import BenchmarkPlan, Frame
from mobiledet.evaluation.result import read_result
from mobiledet.spec import InputSpec

QUICK = BenchmarkPlan(warmup_runs=2, warmup_seconds=0, warmup_limit_seconds=0, runs=7, seconds=0)


def _assert_same(expected: list[Frame], found: list[Frame]) -> None:
    for a, b in zip(expected, found, strict=True):
        assert (a.image, a.height, a.width, a.problem) == (b.image, b.height, b.width, b.problem)
        np.testing.assert_allclose(b.detections.boxes_xyxy, a.detections.boxes_xyxy, atol=1e-6)
        np.testing.assert_allclose(b.detections.scores, a.detections.scores, atol=1e-6)
        np.testing.assert_array_equal(b.detections.labels, a.detections.labels)


@pytest.mark.parametrize("mode", ["image", "tensor"])
def test_detections_are_those_of_this_process(
    agent: Any, patch_bundle: Bundle, patch_data: Path, mode: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    images = [*sorted((patch_data / "val2017").glob("*.jpg")) * 4, broken, tmp_path / "missing.jpg"]
    file = patch_bundle.select()
    local = open_device("local").load(patch_bundle, file, threads=1)
    device = open_device(agent.url, agent.token, mode)
    session = device.load(patch_bundle, file, threads=1)
    assert session.execution == local.execution
    assert (session.golden().cases, session.golden().detections) == (2, 4)
    _assert_same(list(local.detect(images)), list(session.detect(images)))
    assert device.info().name == agent.url
    assert device.state().memory_bytes
    samples = session.benchmark(QUICK)
    assert samples is not None
    assert (len(samples.infer_ns), len(samples.warmup_ns), len(samples.cold_starts)) == (7, 2, 3)


@pytest.mark.parametrize("mode", ["image", "tensor"])
@pytest.mark.parametrize("place", ["centre", "top-left"])
def test_letterboxed_pictures_give_what_they_give_here(
    agent: Any,
    write_patch_bundle: Callable[..., Bundle],
    write_boxed_data: Callable[[Path, InputSpec], Path],
    mode: Any,
    place: Any,
    tmp_path: Path,
) -> None:
    size = InputSpec(64, 128, resize="letterbox", placement=place)
    bundle = write_patch_bundle(tmp_path, "wide", size)
    images = sorted((write_boxed_data(tmp_path / "data", size) / "val2017").iterdir())
    local = open_device("local").load(bundle, bundle.select(), threads=1)
    session = open_device(agent.url, agent.token, mode).load(bundle, bundle.select(), threads=1)
    assert session.golden().detections == 4
    found = list(session.detect(images))
    assert [len(frame.detections) for frame in found] == [4, 4, 4]
    _assert_same(list(local.detect(images)), found)


def test_evaluate_gives_the_same_map(agent: Any, patch_bundle: Bundle, patch_data: Path, tmp_path: Path) -> None:
    scores = []
    for device in ("local", agent.url):
        out = tmp_path / "result.json"
        arguments = [str(patch_bundle.path), "--data", str(patch_data), "--no-latency", "--out", str(out)]
        assert cli.main(["evaluate", *arguments, "--device", device, "--token", agent.token]) == 0
        result = read_result(out)
        assert result.device.name == device
        assert agent.token not in out.read_text()
        assert result.accuracy is not None
        scores.append(result.accuracy.metrics)
    assert abs(scores[0].AP - scores[1].AP) < 1e-6
    assert scores[0].AP > 0.99


def test_devices_greets_agents(agent: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # phones are no matter of this test
    monkeypatch.delenv("MOBILEDET_AGENT_TOKEN", raising=False)
    for token, ready, note in (("", False, "give the token that it prints"), (agent.token, True, "ready: mobiledet")):
        assert cli.main(["devices", agent.url, "--json", "--token", token]) == 0
        row = json.loads(capsys.readouterr().out)[-1]
        assert (row["address"], row["ready"]) == (agent.url, ready)
        assert note in row["note"]
