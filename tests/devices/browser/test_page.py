"""The page as people see it, in a real Chromium at the width of a phone and of a desktop."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.devices import open_device
from mobiledet.devices.agent.client import zipped

pytestmark = pytest.mark.slow
SECONDS = 60


@pytest.fixture(scope="module")
def page(open_chromium: Callable[..., AbstractContextManager[Any]]) -> Iterator[Any]:
    with open_chromium("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream") as page:
        yield page


@pytest.fixture(scope="module")
def address(serve_site: Callable[..., AbstractContextManager[Any]], exported_bundle: Bundle) -> Iterator[str]:
    """Of a page that offers the bundle, to this machine."""
    with serve_site(exported_bundle.root) as (url, _):
        yield f"{url.replace('127.0.0.1', 'localhost')}/#a-token-for-these-tests"


def _expected(bundle: Bundle, picture: Path, least: float) -> list[str]:
    session = open_device("local").load(bundle, bundle.select("int8"))  # what a browser takes by itself
    (frame,) = session.detect([picture], apply_orientation=True)
    kept = frame.detections.above(least)
    return [f"{bundle.spec.labels[label]} {score:.2f}" for label, score in zip(kept.labels, kept.scores, strict=True)]


@pytest.mark.parametrize("width", [400, 1200])
def test_picture_gets_its_boxes(
    page: Any, address: str, exported_bundle: Bundle, scene_folder: Path, width: int
) -> None:
    page.errors()
    page.open(address, width)
    page.wait_for_model()
    assert page.part("file").get_property("value") == "model.int8.tflite"
    picture = sorted(scene_folder.iterdir())[1]
    page.show(picture)
    assert page.errors() == []
    spoken = f"{picture.name}: {page.part('view').get_attribute('aria-label')}"
    assert page.part("spoken").get_property("textContent") == spoken
    assert f"{len(page.found)} detected" in spoken
    assert page.found == _expected(exported_bundle, picture, 0.3)
    page.driver.execute_script(
        "const s = document.getElementById('score'); s.value = 0.05; s.dispatchEvent(new Event('input'))"
    )
    assert page.found == _expected(exported_bundle, picture, 0.05)
    assert len(page.found) > 3
    root = "document.documentElement"
    wide, visible = page.driver.execute_script(f"return [{root}.scrollWidth, {root}.clientWidth]")
    assert wide <= visible <= width
    drawn = page.driver.execute_script(
        "const c = document.getElementById('view');"
        "return [c.width / c.height, new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size]"
    )
    with Image.open(picture) as image:
        assert drawn[0] == pytest.approx(image.width / image.height, abs=0.01)
    assert drawn[1] > 30
    assert not page.part("problem").is_displayed()


def test_picture_from_a_phone_is_shown_upright(
    page: Any, address: str, exported_bundle: Bundle, scene_folder: Path, tmp_path: Path
) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(sorted(scene_folder.iterdir())[1]) as image:
        image.crop((0, 0, image.width, image.height // 2)).save(tmp_path / "turned.jpg", exif=turned, quality=95)
    page.open(address)
    page.wait_for_model()
    page.show(tmp_path / "turned.jpg")
    assert page.driver.execute_script("const c = document.getElementById('view'); return c.height > c.width")
    assert page.found == _expected(exported_bundle, tmp_path / "turned.jpg", 0.3)


def test_camera(page: Any, address: str) -> None:
    """Chromium's own picture of a camera takes the place of one."""
    page.open(address)
    page.wait_for_model()
    page.part("camera").click()
    page.wait(lambda: "images per second" in page.part("caption").text)
    assert page.part("camera").text == "Stop the camera"
    changes = page.driver.execute_async_script(
        "const done = arguments[0]; let count = 0;"
        "const observer = new MutationObserver((records) => (count += records.length));"
        "for (const part of document.querySelectorAll('[role=status], [role=alert], output')) {"
        "  observer.observe(part, { childList: true, characterData: true, subtree: true });"
        "}"
        "setTimeout(() => done(count), 3000);"
    )
    assert changes <= 2  # a screen reader reads every change
    page.part("camera").click()
    page.wait(lambda: page.part("camera").text == "Start the camera")
    assert not page.part("problem").is_displayed()


def test_a_file_that_cannot_be_fetched_leaves_the_running_one(
    page: Any, address: str, exported_bundle: Bundle, scene_folder: Path
) -> None:
    page.open(address)
    page.wait_for_model()
    hint = page.part("hint").text
    page.driver.execute_script(
        "window.fetch = () => Promise.reject(new TypeError('Failed to fetch'));"
        "const f = document.getElementById('file'); f.value = 'model.float32.tflite';"
        "f.dispatchEvent(new Event('change'))"
    )
    page.wait(lambda: "model.float32.tflite cannot be fetched" in page.part("problem").text)
    assert page.part("hint").text == hint
    assert page.part("file").get_property("value") == "model.int8.tflite"
    picture = sorted(scene_folder.iterdir())[1]
    page.show(picture)
    assert page.found == _expected(exported_bundle, picture, 0.3)


def test_a_gpu_that_is_not_there_leaves_the_running_file(
    page: Any, address: str, exported_bundle: Bundle, scene_folder: Path
) -> None:
    page.open(address)
    page.wait_for_model()
    page.driver.execute_script(
        "const part = document.getElementById('accelerator'); part.value = 'webgpu';"
        "part.dispatchEvent(new Event('change'))"
    )
    page.wait(lambda: page.part("problem").text)
    assert page.part("problem").text == "this browser offers no WebGPU here; use the CPU (WebAssembly) instead"
    assert page.part("accelerator").get_property("value") == "wasm"
    picture = sorted(scene_folder.iterdir())[1]
    page.show(picture)
    assert page.found == _expected(exported_bundle, picture, 0.3)


def test_mistakes_are_told_and_do_no_harm(page: Any, address: str, exported_bundle: Bundle, tmp_path: Path) -> None:
    page.open(address)
    page.wait_for_model()
    for name in ("odd.zip", "odd.jpg"):
        (tmp_path / name).write_bytes(b"neither a zip nor a picture")
    page.part("bundle").send_keys(str(tmp_path / "odd.zip"))
    page.wait(lambda: page.part("problem").text.startswith("odd.zip: "))
    page.part("picture").send_keys(str(tmp_path / "odd.jpg"))
    page.wait(lambda: page.part("problem").text.startswith("odd.jpg is not an image"))
    with zipped(exported_bundle) as archive:
        shutil.copy(archive, tmp_path / "sound.zip")
    page.part("bundle").send_keys(str(tmp_path / "sound.zip"))
    page.wait(lambda: not page.part("problem").text)
    page.wait_for_model()


def test_page_is_a_device_and_leaves_it_to_the_measurement(
    page: Any, serve_site: Callable[..., AbstractContextManager[Any]], exported_bundle: Bundle
) -> None:
    with serve_site(exported_bundle.root) as (url, broker):
        page.open(f"{url.replace('127.0.0.1', 'localhost')}/#a-token-for-these-tests", 400)
        assert broker.wait_for_page(SECONDS)
        page.wait_for_model()
        assert "waiting for work" in page.part("device").text
        session = open_device(url, "a-token-for-these-tests").load(exported_bundle, exported_bundle.select())
        session.golden()
        page.wait(lambda: "passed" in page.part("device").text)
        assert not page.part("picture").is_enabled()
        assert "model.float32.tflite" in page.part("device").text
        del session
        page.wait_for_model()


def test_site_on_any_web_server(
    page: Any,
    serve_folder: Callable[[Path], AbstractContextManager[str]],
    exported_bundle: Bundle,
    scene_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the two headers there is one thread, and the boxes are the same; also when the server has gone."""
    out = tmp_path / "site"
    assert cli.main(["web", str(exported_bundle.path), "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert not list(out.rglob("*.mlpackage"))
    picture = sorted(scene_folder.iterdir())[1]
    with serve_folder(out) as url:
        page.open(url)
        page.wait_for_model()
        assert "one thread" in page.part("runtime").text
        page.show(picture)
        assert page.found == _expected(exported_bundle, picture, 0.3)
    page.driver.refresh()
    page.wait_for_model()
    page.show(picture)
    assert page.found == _expected(exported_bundle, picture, 0.3)
    assert cli.main(["web", str(exported_bundle.path), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
