"""apps/testdata is what its generator writes, and what it says holds against the code here and against others'."""

import base64
import http.client
import json
import math
import statistics
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from mobiledet.bundle import open_bundle
from mobiledet.data.resize import resize
from mobiledet.devices.agent.bundle_store import BundleStore
from mobiledet.devices.agent.messages import Limits
from mobiledet.devices.agent.refusal import Refusal
from mobiledet.devices.agent.server import AgentServer
from mobiledet.devices.agent.service import Agent
from mobiledet.errors import UserError
from mobiledet.signing.keys import is_signed, read_public_key
from mobiledet.signing.signature import parse_signature

TOKEN = "a-token-for-these-tests"
THERMAL_LEVELS = ("nominal", "fair", "serious", "critical")


@pytest.fixture(scope="module")
def folder(project_root: Path) -> Path:
    return project_root / "apps" / "testdata"


def _cases(folder: Path, name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    assert cases
    return cases


def _image(pixels: dict[str, Any]) -> np.ndarray:
    content = np.frombuffer(base64.b64decode(pixels["base64"]), np.uint8)
    return content.reshape(pixels["height"], pixels["width"], 3)


def _content(path: Path) -> Any:
    """What a file holds; of a deflated zip the files in it, for zlib packs them differently in each version."""
    if path.name != "deflated.zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return [(entry.filename, entry.compress_type, archive.read(entry)) for entry in archive.infolist()]


def test_files_are_those_that_the_generator_writes(folder: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(folder / "generate.py"), str(tmp_path)], check=True)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    sources = {Path("README.md"), Path("generate.py")}
    committed = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} - sources
    assert made == {path for path in committed if path.parts[0] != "vectors"}
    for path in made:
        same = _content(folder / path) == _content(tmp_path / path)
        assert same, f"{path} is out of date: run python apps/testdata/generate.py"


def test_bundles_open_or_are_refused(folder: Path, tmp_path: Path) -> None:
    store = BundleStore(tmp_path / "store", 1 << 30, 1 << 30)
    for case in _cases(folder, "bundles"):
        path = folder / "bundles" / case["file"]
        if case["opens"]:
            bundle = open_bundle(path)
            assert (bundle.sha256, bundle.spec.name, list(bundle.spec.labels)) == (
                case["sha256"],
                case["name"],
                case["labels"],
            )
            assert set(bundle.recorded.files) == set(case["golden"])
            for file in bundle.files:
                assert len(bundle.golden(file)) == len(case["golden"][file.path]["cases"])
            continue
        with pytest.raises(Refusal):
            store.add("0" * 64, [path.read_bytes()])
        if case["kind"] not in ("link", "size"):  # those two the agent refuses before it unpacks
            with pytest.raises(UserError, match=r".") as error:
                open_bundle(path)
            assert case["mentions"] in str(error.value).replace("\\\\", "\\"), case
    assert not list(tmp_path.rglob("escaped"))
    assert not (folder / "escaped").exists()


def test_resize_is_that_of_pytorch(folder: Path) -> None:
    shortened = 0
    for case in _cases(folder, "resize"):
        if case["resize"] == "letterbox":
            continue
        image, resized = _image(case["image"]), _image(case["resized"])
        planes = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double()
        averages = case["sampling"] == "mean"
        rows, columns = (_block(image.shape[axis], resized.shape[axis]) if averages else 1 for axis in (0, 1))
        shortened += rows * columns > 1
        missing = (0, -image.shape[1] % columns, 0, -image.shape[0] % rows)
        means = torch.nn.functional.avg_pool2d(
            torch.nn.functional.pad(planes, missing, mode="replicate"), (rows, columns)
        )
        ours = _sampled(means, (image.shape[0] / rows, image.shape[1] / columns), resized.shape[:2])
        difference = np.abs(ours[0].permute(1, 2, 0).numpy() - resized)
        assert difference.max() <= 1.5, (image.shape, case["sampling"])  # means are rounded in between
    assert shortened > 6


def test_letterboxes_hold_what_is_stretched_to_their_part(folder: Path) -> None:
    boxed = [case for case in _cases(folder, "resize") if case["resize"] == "letterbox"]
    for case in boxed:
        image, resized = _image(case["image"]), _image(case["resized"])
        colour = {"grey": 114, "black": 0}[case["padding"]]
        factor = min(Fraction(there, here) for there, here in zip(resized.shape[:2], image.shape[:2], strict=True))
        inside = [max(1, math.floor(factor * side + Fraction(1, 2))) for side in image.shape[:2]]
        spare = [there - side for there, side in zip(resized.shape[:2], inside, strict=True)]
        top, left = (side // 2 if case["placement"] == "centre" else 0 for side in spare)
        part = np.zeros(resized.shape[:2], bool)
        part[top : top + inside[0], left : left + inside[1]] = True
        assert (resized[~part] == colour).all()
        np.testing.assert_array_equal(resized[part].reshape(*inside, 3), resize(image, *inside, case["sampling"]))
    assert len(boxed) > 8


def test_placements_are_those_of_pillow(folder: Path) -> None:
    """Pillow rounds halves to even, so it may differ by a pixel there."""
    for case in _cases(folder, "placement"):
        width, height = case["width"], case["height"]
        rows, columns = case["input"]
        if case["resize"] == "stretch":
            assert case["part"] == [0, 0, rows, columns]
        elif min(rows * width / height, columns * height / width) > 1:  # else nothing of it is left in Pillow's
            size = ImageOps.contain(Image.new("L", (width, height)), (columns, rows)).size
            assert np.abs(np.subtract(case["part"][2:], size[::-1])).max() <= 1, case
        boxes = np.array(case["boxes"])
        top, left, tall, wide = case["part"]
        shown = (boxes * [columns, rows, columns, rows] - [left, top, left, top]) / [wide, tall, wide, tall]
        np.testing.assert_allclose(case["in_picture"], shown * ([width, height] * 2), atol=1e-3 * max(width, height))


def _block(source: int, target: int) -> int:
    return next(size for size in (64, 32, 16, 8, 4, 2, 1) if source // size >= target or size == 1)


def _sampled(planes: torch.Tensor, extent: tuple[float, float], size: tuple[int, int]) -> torch.Tensor:
    """Bilinear, of a picture that ends within the last row or column of ``planes``."""
    axes = [
        2 * (torch.arange(to, dtype=torch.float64) + 0.5) * real / to / whole - 1
        for real, to, whole in zip(extent, size, planes.shape[2:], strict=True)
    ]
    rows, columns = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack((columns, rows), dim=-1)[None]
    return torch.nn.functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)


def test_points_and_boxes_turn_with_the_pixels(folder: Path) -> None:
    cases = _cases(folder, "orientation")
    assert [case["orientation"] for case in cases] == list(range(1, 9))
    for case in cases:
        stored, upright = _image(case["stored"]), _image(case["upright"])
        (x1, y1, x2, y2), other = case["upright_boxes"]
        assert (x2 - x1, y2 - y1) == (1, 1)
        assert upright[int(y1), int(x1)].tolist() == stored[0, 0].tolist()  # the box of the first pixel lies on it
        (_, _, first, second) = case["upright_points"]  # the corners of the other box
        assert other == [
            min(first[0], second[0]),
            min(first[1], second[1]),
            max(first[0], second[0]),
            max(first[1], second[1]),
        ]
        corner = case["upright_points"][1]
        assert max(*corner, *case["upright_points"][0]) == max(upright.shape[:2])


def test_exif_is_read_as_pillow_reads_it(folder: Path) -> None:
    for case in _cases(folder, "exif"):
        content = base64.b64decode(case["base64"])
        if case["name"] in ("no picture", "empty", "cut in the segment"):
            continue  # Pillow opens no such file
        try:
            value = Image.open(BytesIO(content)).getexif().get(0x0112, 1)
        except SyntaxError:  # of a damaged directory
            value = 1
        assert (value if 1 <= value <= 8 else 1) == case["orientation"], case["name"]


def test_percentiles_are_those_of_the_standard_library(folder: Path) -> None:
    for case in _cases(folder, "latency"):
        samples = [sample / 1e6 for sample in case["samples_ns"]]
        assert case["mean_ms"] == pytest.approx(statistics.fmean(samples))
        assert case["min_ms"] == min(samples)
        assert (case["p99_ms"] is None) == (len(samples) < 200)
        if len(samples) > 1:
            assert case["std_ms"] == pytest.approx(statistics.stdev(samples))
            percentiles = statistics.quantiles(samples, n=100, method="inclusive")
            for percent in (50, 90, 95, *((99,) if len(samples) >= 200 else ())):
                assert case[f"p{percent}_ms"] == pytest.approx(percentiles[percent - 1], rel=1e-12)


def test_paced_frames_keep_the_rate(folder: Path) -> None:
    for case in _cases(folder, "pacing"):
        limits = dict(zip(THERMAL_LEVELS, case["rates"], strict=True))
        taken: list[int] = []  # detections since the level has changed
        busy, latest = False, -math.inf
        for (now, finished), decision, (before, level) in zip(
            _monotonic(case["frames"]), case["decisions"], pairwise(["", *case["levels"]]), strict=True
        ):
            busy = busy and not finished
            taken = taken if level == before else []
            period = 1e9 / limits[level] if limits[level] else math.inf
            assert (decision == "busy") == busy
            if decision == "detect":
                taken.append(now)
                assert all(now - first >= (back - 0.5) * period - 2 * back for back, first in enumerate(taken[::-1]))
                busy, latest = True, now
            elif not busy:
                assert now - latest < period + 2, "a frame is skipped although its turn has come"
                assert decision == "rate" or limits[level] < limits["nominal"]
        assert Counter(case["decisions"]) == Counter(case["counts"])


def test_pacing_follows_the_heat_at_once_and_the_cooling_slowly(folder: Path) -> None:
    for case in _cases(folder, "pacing"):
        recover_ns = case["recover_seconds"] * 1e9
        levels = [THERMAL_LEVELS.index(level) for level in case["levels"]]
        reported = [_level(thermal) for _, thermal, _ in case["frames"]]
        times = [now for now, _ in _monotonic(case["frames"])]
        begin = times[0]  # of the cooler states at the present level
        for place in range(1, len(times)):
            assert levels[place] >= reported[place]
            if levels[place] > levels[place - 1]:
                assert levels[place] == reported[place]
            elif levels[place] < levels[place - 1]:
                assert levels[place] == levels[place - 1] - 1
                assert times[place] - begin >= recover_ns - 1
            elif levels[place] > reported[place] and levels[place] > reported[place - 1]:
                assert times[place] - begin < recover_ns + 1
            is_new = levels[place] != levels[place - 1]
            if is_new or max(reported[place - 1 : place + 1]) >= levels[place]:
                begin = times[place]


def _monotonic(frames: list[Any]) -> Iterator[tuple[int, bool]]:
    """Time of each frame, and whether the detector has finished before."""
    latest = -math.inf
    for time, _, finished in frames:
        latest = max(latest, time)
        yield int(latest), finished


def test_signatures_are_accepted_or_refused(folder: Path) -> None:
    cases = _cases(folder, "signatures")
    for case in cases:
        text = case["text"].encode() if "text" in case else base64.b64decode(case["base64"])
        if case["accepted"] or "key of this app" in case["problem"]:
            keys = [read_public_key(line) for line in case["keys"]]
            signed, signature = parse_signature(text)
            assert any(is_signed(key, signed.message, signature) for key in keys) == case["accepted"], case["name"]
            assert not case["accepted"] or list(vars(signed).values()) == list(case["signed"].values())
            continue
        with pytest.raises((UserError, ValueError), match=case["problem"]):  # noqa: PT012  whichever is malformed
            _ = [read_public_key(line) for line in case["keys"]]
            parse_signature(text)
    assert sum(case["accepted"] for case in cases) == 5


def test_stores_of_models_never_go_back(folder: Path) -> None:
    """Without a request to, a release is only followed by a newer one, and a failure changes nothing."""
    for case in _cases(folder, "model_store"):
        before = (None, None)
        for step in case["steps"]:
            after = (step["current"], step["previous"])
            if step["action"] == "rollback":
                assert after == ((before[1], None) if before[1] else before)
            elif step["problem"]:
                assert after == before
            else:
                release = parse_signature(step["signature"].encode())[0].release
                assert after == (release, before[0])
                assert step["allow_older"] or release > max(before[0] or 0, case["built_in"])
            before = after


def _level(thermal: str | None) -> int:
    """The level of a state by Apple's and Android's documentation."""
    groups = (("fair", "light", "moderate"), ("serious", "severe"), ("critical", "emergency", "shutdown"))
    return next((level for level, names in enumerate(groups, 1) if thermal in names), 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """Port of an agent that holds nothing yet."""
    agent = Agent(tmp_path, Limits(10_000_000, 1 << 30, sessions=4, idle_seconds=600, wait_seconds=5))
    with AgentServer(("127.0.0.1", 0), agent, TOKEN) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
            agent.close()


def test_the_agent_answers_as_the_exchanges_say(folder: Path, server: int) -> None:
    definitions = json.loads((folder.parent / "protocol" / "messages.schema.json").read_text())["$defs"]
    for case in _cases(folder, "exchanges"):
        body = (folder / "bundles" / case["file"]).read_bytes() if "file" in case else case.get("text", "").encode()
        headers = {"Authorization": case["auth"].replace("TOKEN", TOKEN), "Content-Length": str(len(body))}
        connection = http.client.HTTPConnection("127.0.0.1", server, timeout=20)
        connection.request(case["method"], case["path"], body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        assert response.status == case["status"], (case, content)
        if case["status"] >= 400:
            assert json.loads(content)["code"] == case["code"], case
        elif case["kind"]:
            assert set(json.loads(content)) == set(definitions[case["kind"]]["required"]), case
