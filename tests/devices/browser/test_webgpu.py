"""WebGPU in Chromium, computed by SwiftShader: what it finds, not how fast. The golden gate decides what it may run."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from mobiledet.bundle import Bundle

pytestmark = pytest.mark.slow
DETECT = """
const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 320 });
const context = canvas.getContext("2d");
context.fillStyle = "#00f";
context.fillRect(80, 40, 80, 40);
context.fillRect(400, 160, 80, 40);
const found = [];
for (const accelerator of ["wasm", "webgpu"]) {
  const detector = await library.Detector.open("BUNDLE/", { accelerator, file: "float32" });
  found.push([detector.accelerator, await detector.detect(canvas, { minScore: 0.3 })]);
  detector.close();
}
return found;
"""


@pytest.fixture(scope="module")
def call(
    open_chromium: Callable[..., AbstractContextManager[Any]],
    calling: Callable[[Any], AbstractContextManager[Callable[[str], Any]]],
) -> Iterator[Callable[[str], Any]]:
    with open_chromium("enable-unsafe-webgpu", gpu=True) as page, calling(page) as call:
        if not call("return Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no WebGPU without a GPU")
        yield call


def test_it_finds_what_the_cpu_finds(call: Callable[[str], Any]) -> None:
    (first, on_cpu), (second, on_gpu) = call(DETECT.replace("BUNDLE", "patch.mobiledet"))
    assert (first, second) == ("wasm", "webgpu")
    assert [each["label"] for each in on_cpu] == ["blue", "blue"]
    assert on_gpu == on_cpu


@pytest.mark.exhaustive
def test_a_file_that_it_computes_wrongly_is_refused(
    call: Callable[[str], Any], app: Path, exported_bundle: Bundle
) -> None:
    """LiteRT.js 2.5.3 gives wrong outputs where GPU and CPU share a file; a later one may be right."""
    shutil.copytree(exported_bundle.root, app / "scenes.mobiledet", dirs_exist_ok=True)
    answer = call(DETECT.replace("BUNDLE", "scenes.mobiledet"))
    if isinstance(answer, str):
        assert answer.startswith(
            "refused: this runtime does not reproduce the outputs of the model file: golden case 0: "
        )
        return
    (_, on_cpu), (_, on_gpu) = answer
    assert [each["label"] for each in on_gpu] == [each["label"] for each in on_cpu]
