"""A camera that shows drawn shapes: the boxes in the page and in the element are where the shapes were drawn."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobiledet.bundle import Bundle

pytestmark = pytest.mark.slow
HEIGHT, WIDTH = 480, 640
CELLS = [(1, 1, 0), (3, 5, 1), (6, 2, 2)]  # of 8 x 8: row, column, class
BOXES = {
    label: [column * WIDTH / 8, row * HEIGHT / 8, (column + 1) * WIDTH / 8, (row + 1) * HEIGHT / 8]
    for (row, column, _), label in zip(CELLS, ("red", "green", "blue"), strict=True)
}


@pytest.fixture(scope="module")
def page(
    open_chromium: Callable[..., AbstractContextManager[Any]],
    paint_cells: Callable[..., np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    frame = io.BytesIO()
    Image.fromarray(paint_cells(CELLS, WIDTH, HEIGHT)).save(frame, "JPEG", quality=95, subsampling=0)
    video = tmp_path_factory.mktemp("camera") / "shapes.mjpeg"
    video.write_bytes(frame.getvalue() * 10)
    flags = ("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream")
    with open_chromium(*flags, f"use-file-for-fake-video-capture={video}") as page:
        yield page


# colours of the canvas in the middle of the left, the lower and the right side of a box, and inside it
LOOK = """
const [canvas, boxes] = arguments;
const context = canvas.getContext("2d");
const zoom = canvas.width / 640;
const at = (x, y) => [...context.getImageData(Math.round(x * zoom), Math.round(y * zoom), 1, 1).data].slice(0, 3);
return boxes.map(([x1, y1, x2, y2]) => {
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return [at(x1, y), at(x, y2), at(x2, y), at(x, y)];
});
"""


def test_boxes_are_where_the_shapes_are(
    page: Any, serve_site: Callable[..., AbstractContextManager[Any]], patch_bundle: Bundle
) -> None:
    with serve_site(patch_bundle.root) as (url, _):
        page.open(f"{url.replace('127.0.0.1', 'localhost')}/#a-token-for-these-tests")
        page.wait_for_model()
        page.part("camera").click()
        page.wait(lambda: "images per second" in page.part("caption").text)
        assert "640 × 480" in page.part("caption").text
        assert sorted(text.split()[0] for text in page.found) == ["blue", "green", "red"]
        assert page.part("view").get_attribute("aria-label").startswith("3 detected: ")
        page.part("track").click()
        page.wait(lambda: page.found[0].startswith("#"))
        numbered = sorted(text.rpartition(" ")[0] for text in page.found)
        assert [text.split()[0] for text in numbered] == ["#1", "#2", "#3"]
        before = page.part("caption").text
        page.wait(lambda: page.part("caption").text != before)  # some frames later
        assert sorted(text.rpartition(" ")[0] for text in page.found) == numbered
        page.part("camera").click()
        shades = page.driver.execute_script(
            "return [...document.querySelectorAll('#found li')].map((item) => ["
            "item.textContent.split(' ')[1], getComputedStyle(item).borderColor.match(/\\d+/g).map(Number)])"
        )
        seen = page.driver.execute_script(LOOK, page.part("view"), [BOXES[name] for name, _ in shades])
        for (name, colour), (left, lower, right, inside) in zip(shades, seen, strict=True):
            for side in (left, lower, right):
                assert np.abs(np.subtract(side, colour)).max() <= 2, name
            assert np.argmax(inside) == ("red", "green", "blue").index(name)
            assert max(inside) > 200
        assert not page.part("problem").text
        page.part("track").click()


FRAMES = """
const [count, done] = arguments;
const camera = document.querySelector("mobiledet-camera");
const frames = [];
camera.addEventListener("detections", ({ detail }) => {
  frames.push(detail);
  if (frames.length === count) done(frames);
});
camera.addEventListener("error", ({ message }) => done(message));
"""


def test_the_element_shows_them_with_ids(
    page: Any,
    app: Path,
    project_root: Path,
    patch_bundle: Bundle,
    serve_folder: Callable[[Path], AbstractContextManager[str]],
    axe_findings: Callable[[Any], list[str]],
) -> None:
    """As the README tells: two lines for a camera with boxes."""
    readme = (project_root / "apps" / "web" / "README.md").read_text()
    block = next(block for block in readme.split("```html\n")[1:] if "<mobiledet-camera" in block).partition("```")[0]
    assert len(block.strip().splitlines()) == 2
    shutil.copytree(patch_bundle.root, app / "patch.mobiledet", dirs_exist_ok=True)
    block = block.replace("x.mobiledet", "patch.mobiledet")
    (app / "camera.html").write_text(f"<!doctype html><html lang=en><title>x</title><main><h1>x</h1>{block}</main>")
    with serve_folder(app) as url:
        page.open(f"{url}/camera.html")
        page.driver.set_script_timeout(60)
        frames = page.driver.execute_async_script(FRAMES, 20)
        assert len(frames) == 20, frames
        ids = {each["label"]: each["id"] for each in frames[0]["detections"]}
        assert sorted(ids.values()) == [1, 2, 3]
        for frame in frames:
            assert (frame["width"], frame["height"]) == (WIDTH, HEIGHT)
            assert {each["label"]: each["id"] for each in frame["detections"]} == ids
            for each in frame["detections"]:
                np.testing.assert_allclose(each["box"], BOXES[each["label"]], atol=0.01)
                assert each["score"] > 0.9
        page.driver.execute_script("document.querySelector('mobiledet-camera').setAttribute('max-rate', '5')")
        root = page.driver.execute_script("return document.querySelector('mobiledet-camera').shadowRoot")
        view = root.find_element("css selector", "canvas")
        assert view.get_attribute("role") == "img"
        assert view.get_attribute("aria-label").startswith("3 detected: ")
        assert axe_findings(page) == []
        button = root.find_element("css selector", "button")
        assert button.text == "Stop the camera"
        button.click()
        assert button.text == "Start the camera"
        button.click()
        started = page.driver.execute_script("return performance.now()")
        assert len(page.driver.execute_async_script(FRAMES, 6)) == 6
        assert (
            page.driver.execute_script("return performance.now()") - started > 800
        )  # five periods of 200 ms, less a half
