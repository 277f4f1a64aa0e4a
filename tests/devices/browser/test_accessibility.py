"""The rules of axe-core (WCAG 2.2, good practice) find nothing in any state of the page, in light and dark."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from mobiledet.bundle import Bundle
from mobiledet.devices import open_device

pytestmark = pytest.mark.slow
TOKEN = "a-token-for-these-tests"


@pytest.fixture(scope="module")
def page(open_chromium: Callable[..., AbstractContextManager[Any]]) -> Iterator[Any]:
    with open_chromium("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream") as page:
        yield page


@pytest.fixture(scope="module")
def findings(page: Any, axe_findings: Callable[[Any], list[str]]) -> Callable[[], list[str]]:
    return lambda: axe_findings(page)


def test_a_fault_is_found(page: Any, findings: Callable[[], list[str]]) -> None:
    page.driver.get(
        "data:text/html,<html lang=en><title>x</title><main><h1>x</h1><p style='color:silver'>pale</p></main>"
    )
    (light, dark) = findings()
    assert "color-contrast" in light
    assert "color-contrast" in dark


@pytest.mark.parametrize("width", [400, pytest.param(1200, marks=pytest.mark.exhaustive)])
def test_nothing_is_found(
    page: Any,
    findings: Callable[[], list[str]],
    serve_site: Callable[..., AbstractContextManager[Any]],
    exported_bundle: Bundle,
    scene_folder: Path,
    tmp_path: Path,
    width: int,
) -> None:
    with serve_site() as (url, _):
        page.open(url.replace("127.0.0.1", "localhost"), width)
        page.wait(lambda: page.part("runtime").text)
        assert findings() == [], "without a bundle"
    with serve_site(exported_bundle.root) as (url, broker):
        page.open(f"{url.replace('127.0.0.1', 'localhost')}/#{TOKEN}", width)
        page.wait_for_model()
        assert findings() == [], "with a bundle, as a device"
        page.show(sorted(scene_folder.iterdir())[1])
        assert page.found
        assert findings() == [], "with an image"
        page.part("camera").click()
        page.wait(lambda: "images per second" in page.part("caption").text)
        assert findings() == [], "with the camera"
        page.part("camera").click()
        (tmp_path / "odd.jpg").write_bytes(b"no picture")
        page.part("picture").send_keys(str(tmp_path / "odd.jpg"))
        page.wait(lambda: page.part("problem").text)
        assert findings() == [], "with an error"
        assert broker.wait_for_page(60)
        session = open_device(url, TOKEN).load(exported_bundle, exported_bundle.select())
        session.golden()
        page.wait(lambda: "passed" in page.part("device").text)
        page.driver.execute_script("document.querySelector('progress').hidden = false")  # as during a measurement
        assert findings() == [], "as a device that is measured"
        del session
