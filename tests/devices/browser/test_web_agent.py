"""The page in a real Chromium as an agent, behind the real broker."""

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.data.shapes import write_shapes
from mobiledet.devices import open_device
from mobiledet.devices.agent.checks import CHECKS
from mobiledet.devices.agent.subject import Subject
from mobiledet.devices.base import Frame
from mobiledet.errors import UserError
from mobiledet.evaluation.result import read_result
from mobiledet.spec import InputSpec

pytestmark = pytest.mark.slow
ORIENTATION_TAG = 0x0112


def test_exchanges(browser_agent: Any, project_root: Path) -> None:
    """Requests to an agent that holds nothing yet, the same as every other implementation answers."""
    testdata = project_root / "apps" / "testdata"
    for case in json.loads((testdata / "exchanges.json").read_text())["cases"]:
        body = (testdata / "bundles" / case["file"]).read_bytes() if "file" in case else case.get("text", "").encode()
        headers = {"Authorization": case["auth"].replace("TOKEN", browser_agent.token)} if case["auth"] else {}
        connection = http.client.HTTPConnection(browser_agent.url.removeprefix("http://"), timeout=60)
        connection.request(case["method"], case["path"], body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        code = json.loads(content).get("code") if response.status >= 400 else None
        assert (response.status, code) == (case["status"], case.get("code")), case


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_page_keeps_to_the_protocol(
    check: Callable[[Subject], None], browser_agent: Any, patch_bundle: Bundle, tmp_path: Path
) -> None:
    check(Subject(browser_agent.url, browser_agent.token, patch_bundle, patch_bundle.select(), tmp_path))


@pytest.fixture(scope="module")
def fifty_images(exported_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEG files of shapes, in a data folder of COCO's layout, with the class names of the bundle."""
    folder = tmp_path_factory.mktemp("fifty") / "set"
    write_shapes(folder, train=0, val=50, seed=9, workers=1)
    path = folder / "annotations" / "instances_val2017.json"
    listing = json.loads(path.read_text())
    for category, label in zip(listing["categories"], exported_bundle.spec.labels, strict=True):
        category["name"] = label
    path.write_text(json.dumps(listing))
    return folder


def _assert_same(expected: list[Frame], found: list[Frame]) -> None:
    assert sum(len(frame.detections) for frame in expected) > 10 * len(expected)
    for a, b in zip(expected, found, strict=True):
        assert (a.image, a.height, a.width, b.problem) == (b.image, b.height, b.width, ""), a.image
        np.testing.assert_allclose(b.detections.boxes_xyxy, a.detections.boxes_xyxy, atol=1e-4, err_msg=str(a.image))
        np.testing.assert_allclose(b.detections.scores, a.detections.scores, atol=1e-4)
        np.testing.assert_array_equal(b.detections.labels, a.detections.labels)


@pytest.mark.parametrize("mode", ["image", "tensor"])
@pytest.mark.parametrize("threads", [1, 2])
def test_detections_are_those_of_litert_in_python(
    browser_agent: Any, exported_bundle: Bundle, fifty_images: Path, mode: Any, threads: int
) -> None:
    images = sorted((fifty_images / "val2017").iterdir())
    file = exported_bundle.select()
    expected = list(open_device("local").load(exported_bundle, file, threads=1).detect(images))
    device = open_device(browser_agent.url, browser_agent.token, mode)
    session = device.load(exported_bundle, file, threads=threads)
    assert session.execution.threads == threads
    assert session.golden().detections > 20
    _assert_same(expected, list(session.detect(images)))


def test_a_gpu_that_is_not_there_is_refused(browser_agent: Any, patch_bundle: Bundle) -> None:
    device = open_device(browser_agent.url, browser_agent.token)
    with pytest.raises(UserError, match="this browser offers no WebGPU here"):
        device.load(patch_bundle, patch_bundle.select(), accelerator="webgpu")


def test_letterboxed_pictures_give_what_they_give_here(
    browser_agent: Any,
    write_patch_bundle: Callable[..., Bundle],
    write_boxed_data: Callable[[Path, InputSpec], Path],
    tmp_path: Path,
) -> None:
    size = InputSpec(64, 128, resize="letterbox", padding="black", placement="top-left")
    bundle = write_patch_bundle(tmp_path, "wide", size)
    images = sorted((write_boxed_data(tmp_path / "data", size) / "val2017").iterdir())
    expected = list(open_device("local").load(bundle, bundle.select()).detect(images))
    session = open_device(browser_agent.url, browser_agent.token).load(bundle, bundle.select())
    assert session.golden().detections == 4
    for here, there in zip(expected, session.detect(images), strict=True):
        assert len(here.detections) == 4
        np.testing.assert_allclose(there.detections.boxes_xyxy, here.detections.boxes_xyxy, atol=1e-4)
        np.testing.assert_array_equal(there.detections.labels, here.detections.labels)


def test_every_tflite_file_passes_its_golden_gate(browser_agent: Any, exported_bundle: Bundle) -> None:
    files = [file for file in exported_bundle.files if file.format == "tflite"]
    assert len(files) > 1
    for file in files:
        session = open_device(browser_agent.url, browser_agent.token).load(exported_bundle, file)
        assert session.golden().cases > 0, file.path


@pytest.fixture(scope="module")
def kinds_of_pictures(fifty_images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A picture in every form that decoders treat in their own ways."""
    folder = tmp_path_factory.mktemp("kinds")
    with Image.open(min((fifty_images / "val2017").iterdir())) as opened:
        picture = opened.convert("RGB")
    odd = picture.crop((0, 0, picture.width - 3, picture.height - 5))
    turned = Image.Exif()
    turned[ORIENTATION_TAG] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for subsampling in (0, 1, 2):
        odd.save(folder / f"subsampled-{subsampling}.jpg", quality=80, subsampling=subsampling)
    picture.save(folder / "progressive.jpg", progressive=True)
    picture.save(folder / "profile.jpg", icc_profile=profile)
    picture.save(folder / "turned.jpg", exif=turned)
    picture.save(folder / "turned.png", exif=turned)
    picture.save(folder / "profile.png", icc_profile=profile)
    picture.convert("L").save(folder / "grey.jpg")
    picture.convert("CMYK").save(folder / "print.jpg")
    picture.convert("P").save(folder / "palette.png")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("apply_orientation", [False, True])
def test_pictures_of_every_kind_are_decoded_as_here(
    browser_agent: Any, exported_bundle: Bundle, kinds_of_pictures: list[Path], apply_orientation: bool
) -> None:
    """Chromium's decoder gives the bytes that Pillow's gives, or the detections would not be the same to 1e-4."""
    file = exported_bundle.select()
    expected = list(open_device("local").load(exported_bundle, file).detect(kinds_of_pictures, apply_orientation))
    session = open_device(browser_agent.url, browser_agent.token).load(exported_bundle, file)
    session.golden()
    _assert_same(expected, list(session.detect(kinds_of_pictures, apply_orientation)))


def test_half_a_picture_is_none(
    browser_agent: Any, exported_bundle: Bundle, kinds_of_pictures: list[Path], tmp_path: Path
) -> None:
    """Browsers show the half that is there; it must not be scored."""
    halves = [tmp_path / path.name for path in kinds_of_pictures]
    for whole, half in zip(kinds_of_pictures, halves, strict=True):
        half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    session = open_device(browser_agent.url, browser_agent.token).load(exported_bundle, exported_bundle.select())
    session.golden()
    for frame in session.detect(halves):
        assert "truncated" in frame.problem
        assert frame.times is None


def test_evaluate_gives_the_same_map(
    browser_agent: Any, exported_bundle: Bundle, fifty_images: Path, tmp_path: Path
) -> None:
    scores = []
    for device in ("local", browser_agent.url):
        out = tmp_path / f"{len(scores)}.json"
        arguments = [str(exported_bundle.path), "--data", str(fifty_images), "--no-latency", "--out", str(out)]
        assert cli.main(["evaluate", *arguments, "--device", device, "--token", browser_agent.token]) == 0
        result = read_result(out)
        assert result.accuracy is not None
        scores.append(result.accuracy.metrics.AP)
    assert result.device.runtime == "litert-wasm"
    assert abs(scores[0] - scores[1]) < 1e-6
