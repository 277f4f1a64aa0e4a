"""The npm package @mobiledet/web: packed, installed in an empty folder, and used as its README tells."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobiledet import __version__
from mobiledet.bundle import Bundle
from mobiledet.devices import open_device
from mobiledet.signing.config import SignConfig
from mobiledet.signing.keys import make_key
from mobiledet.signing.run import run

pytestmark = pytest.mark.slow
LARGEST_MB = 15  # the runtime's four variants are most of it


@pytest.fixture(scope="module")
def page(open_chromium: Callable[..., AbstractContextManager[Any]]) -> Iterator[Any]:
    with open_chromium() as page:
        yield page


@pytest.fixture(scope="module")
def call(page: Any, calling: Callable[[Any], AbstractContextManager[Callable[[str], Any]]]) -> Iterator[Any]:
    with calling(page) as call:
        yield call


@pytest.mark.exhaustive
def test_it_holds_the_library_alone_and_could_be_published(packed: tuple[Path, dict[str, Any]]) -> None:
    archive, said = packed
    publish = ["npm", "publish", "--dry-run", "--offline", str(archive)]
    done = subprocess.run(publish, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (said["name"], said["version"]) == ("@mobiledet/web", __version__)
    assert said["size"] < LARGEST_MB * 1e6
    names = {file["path"] for file in said["files"]}
    assert {"README.md", "index.d.ts", "camera.d.ts", "dist/index.js", "dist/camera.js", "dist/LICENSE"} <= names
    assert {"dist/vendor/litert/wasm/litert_wasm_internal.wasm", "dist/vendor/zip/LICENSE"} <= names
    assert not [
        name for name in names if re.search(r"test|agent|node_modules|\.(gz|br|map)$|ui/(main|try_panel)", name)
    ]


@pytest.mark.exhaustive
def test_it_is_installed_alone(packed_app: Path, app: Path) -> None:
    installed = [
        path.parent
        for path in packed_app.rglob("package.json")
        if path.parent.parent.name in ("node_modules", "@mobiledet")
    ]
    assert [path.name for path in installed] == ["web"]
    exports = json.loads((installed[0] / "package.json").read_text())["exports"]
    targets = [target for entry in exports.values() if isinstance(entry, dict) for target in entry.values()]
    assert len(targets) == 4
    assert all((installed[0] / target).is_file() for target in targets)
    assert _files(installed[0]) == _files(app / "node_modules" / "@mobiledet" / "web")
    for path in (installed[0] / "dist").rglob("*.js"):
        if "vendor" not in path.parts:
            assert not re.search(r'from "[^.]', path.read_text()), f"{path} imports by name"


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.exhaustive
def test_types(app: Path, project_root: Path, npm_install: Callable[[Path], Path], tmp_path: Path) -> None:
    """An app in TypeScript compiles against them, wrong uses do not, and they say what the code does."""
    testing = project_root / "apps" / "web" / "testing"
    compiler = npm_install(testing) / ".bin" / "tsc"
    (tmp_path / "node_modules").symlink_to(app / "node_modules")
    for name in ("consumer.ts", "conforms.ts"):
        shutil.copy(testing / name, tmp_path)
    # beside the code, the compiler would read its declarations instead
    shutil.copytree(app / "node_modules" / "@mobiledet" / "web" / "dist", tmp_path / "code")
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"]
    options += ["--lib", "es2023,dom,dom.iterable", "--allowJs", "--skipLibCheck", "false"]
    command = [str(compiler), *options, "consumer.ts", "conforms.ts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _blocks(project_root: Path) -> list[str]:
    readme = (project_root / "apps" / "web" / "README.md").read_text()
    return re.findall(r"```html\n(.*?)```", readme, re.DOTALL)


@pytest.mark.parametrize("installed", ["app", pytest.param("packed_app", marks=pytest.mark.exhaustive)])
def test_the_readmes_lines_detect(
    installed: str,
    request: pytest.FixtureRequest,
    page: Any,
    project_root: Path,
    exported_bundle: Bundle,
    scene_folder: Path,
    serve_folder: Callable[[Path], AbstractContextManager[str]],
) -> None:
    app = request.getfixturevalue(installed)
    block = _blocks(project_root)[0]
    script = re.search(r"<script type=\"module\">\n(.*?)</script>", block, re.DOTALL)
    assert script
    assert len(script[1].splitlines()) <= 5
    shutil.copytree(exported_bundle.root, app / "x.mobiledet", dirs_exist_ok=True)
    picture = sorted(scene_folder.iterdir())[1]
    shutil.copy(picture, app / "street.jpg")
    (app / "index.html").write_text(f"<!doctype html><html lang=en><title>x</title><main>{block}</main>")
    (frame,) = open_device("local").load(exported_bundle, exported_bundle.select("int8")).detect([picture])
    kept = frame.detections.above(0.3)
    lines: list[str] = []

    def logged() -> bool:
        lines.extend(entry["message"] for entry in page.driver.get_log("browser"))
        return len([line for line in lines if " at " in line]) >= len(kept)

    with serve_folder(app) as url:
        page.open(f"{url}/index.html")
        page.wait(logged)
    found = [re.search(r'"(\S+) ([\d.]+) at ([\d.,-]+)"', line) for line in lines if " at " in line]
    assert [match[1] for match in found if match] == [exported_bundle.spec.labels[label] for label in kept.labels]
    assert [float(match[2]) for match in found if match] == pytest.approx(list(kept.scores), abs=0.006)
    boxes = np.array([[float(side) for side in match[3].split(",")] for match in found if match])
    np.testing.assert_allclose(boxes, kept.boxes_xyxy, atol=0.01)


@pytest.mark.exhaustive
def test_a_bundler_moves_the_code_and_assets_names_the_folder(
    app: Path, call: Callable[[str], Any], project_root: Path, npm_install: Callable[[Path], Path]
) -> None:
    bundler = npm_install(project_root / "apps" / "web" / "testing") / ".bin" / "esbuild"
    (app / "app.js").write_text('export { Detector } from "@mobiledet/web"; import "@mobiledet/web/camera";')
    command = [str(bundler), "app.js", "--bundle", "--format=esm", "--minify", "--outfile=built/app.js"]
    subprocess.run(command, cwd=app, check=True, capture_output=True)
    opening = """
        const { Detector } = await import("/built/app.js");
        const detector = await Detector.open("patch.mobiledet/", OPTIONS);
        return [detector.name, typeof customElements.get("mobiledet-camera")];
    """
    assets = '{ assets: "/node_modules/@mobiledet/web/dist/" }'
    assert call(opening.replace("OPTIONS", assets)) == ["patch-64", "function"]
    assert "engine.worker.js cannot be loaded from" in call(opening.replace("OPTIONS", "{}"))


PAINT = """
const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 320 });
const context = canvas.getContext("2d");
context.fillRect(0, 0, 640, 320);
for (const [x, y, colour] of [[80, 40, "#f00"], [400, 160, "#00f"]]) {
  context.fillStyle = colour;
  context.fillRect(x, y, 80, 40);
}
const detector = await library.Detector.open("patch.mobiledet.zip");
"""
RED = {"label": "red", "categoryId": 3, "score": 1, "box": [80, 40, 160, 80]}
BLUE = {"label": "blue", "categoryId": 9, "score": 1, "box": [400, 160, 480, 200]}


def test_images_of_all_kinds_give_the_same(call: Callable[[str], Any]) -> None:
    found = call(
        PAINT
        + """
        const blob = await new Promise((resolve) => canvas.toBlob(resolve));
        const image = Object.assign(new Image(), { src: URL.createObjectURL(blob) });
        const sources = [canvas, blob, image, await createImageBitmap(canvas), context.getImageData(0, 0, 640, 320)];
        sources.push(new File([blob], "x.png"), new VideoFrame(canvas, { timestamp: 0 }));
        const found = await Promise.all(sources.map((source) => detector.detect(source)));
        const { name, labels, categoryIds, input, file, accelerator } = detector;
        detector.close();
        return { found, about: [name, labels, categoryIds, input, file, accelerator] };
        """
    )
    assert found["about"] == [
        "patch-64",
        ["red", "green", "blue"],
        [3, 5, 9],
        {"height": 64, "width": 64},
        "model.float32.tflite",
        "wasm",
    ]
    assert len(found["found"]) == 7
    for detections in found["found"]:
        assert sorted(detections, key=lambda each: each["box"]) == [RED, BLUE]


def test_tracking_and_drawing(call: Callable[[str], Any]) -> None:
    found = call(
        PAINT
        + """
        const tracker = detector.tracker();
        const frames = [];
        for (let i = 0; i < 4; i++) frames.push(await detector.detect(canvas, { tracker }));
        const view = document.createElement("canvas");
        library.drawDetections(view, canvas, frames[3]);
        const at = (x, y) => [...view.getContext("2d").getImageData(x, y, 1, 1).data];
        const [left, inside] = [at(80, 70), at(120, 65)];
        return { ids: frames.map((frame) => frame.map(({ label, id }) => [label, id]).sort()), left, inside };
        """
    )
    assert found["ids"] == [found["ids"][0]] * 4
    assert sorted(number for _, number in found["ids"][0]) == [1, 2]
    assert found["inside"] == [255, 0, 0, 255]
    assert found["left"] != [255, 0, 0, 255]


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ('library.Detector.open("none.zip")', "none.zip cannot be fetched: the server says 404"),
        ('library.Detector.open("empty.html")', "empty.html: "),
        ('library.Detector.open("none/")', "not a mobiledet bundle: bundle.json is missing"),
        (
            'library.Detector.open("patch.mobiledet/", { file: "int8" })',
            "no .tflite file 'int8' in the bundle; it holds model.",
        ),
        (
            'library.Detector.open("patch.mobiledet/", { accelerator: "gpu" })',
            "unknown accelerator 'gpu'; known: auto, wasm",
        ),
        ('library.Detector.open("patch.mobiledet/", { accelerator: "webgpu" })', "this browser offers no WebGPU here"),
        (
            'library.Detector.open("patch.mobiledet/", { threads: 2 })',
            "threads 2 is not in 0..1; more need a page that is",
        ),
        (
            'library.Detector.open("patch.mobiledet/", { assets: "/elsewhere/" })',
            "engine.worker.js cannot be loaded from",
        ),
        (
            '(await library.Detector.open("patch.mobiledet/")).detect(document.createElement("video"))',
            "no pixels to detect in",
        ),
        ('(await library.Detector.open("patch.mobiledet/")).detect(new File(["x"], "x.txt"))', "x.txt is not an image"),
    ],
)
def test_mistakes_are_told(call: Callable[[str], Any], work: str, said: str) -> None:
    answer = call(f"return {'await' if work.startswith('library') else ''} {work}")
    assert str(answer).startswith("refused: ")
    assert said in answer
    assert "\n" not in answer


def test_pictures_that_are_cut_are_refused(call: Callable[[str], Any], app: Path) -> None:
    Image.new("RGB", (64, 64)).save(app / "whole.jpg")
    (app / "half.jpg").write_bytes((app / "whole.jpg").read_bytes()[:300])
    work = 'new File([await (await fetch("half.jpg")).blob()], "half.jpg")'
    assert (
        call(f'return (await library.Detector.open("patch.mobiledet/")).detect({work})')
        == "refused: half.jpg: image file is truncated"
    )


INSTALL = """
const { Detector, ModelStore, cacheStorage, updateModel, webSource } = library;
await caches.delete("mobiledet-models");
const store = new ModelStore(cacheStorage(), ["KEY"], { builtIn: 3 });
const update = (name) => updateModel(store, webSource(name), async (bundle) => (await Detector.open(bundle)).close());
const installed = [Boolean(await update("FILE")), Boolean(await update("FILE"))];
const detector = await Detector.open(await store.open());
const refused = await update("changed.zip").catch((error) => error.message);
const { release } = await store.current();
await store.clear();
return [installed, release, detector.name, refused];
"""


def test_a_signed_model_is_installed_at_run_time(
    call: Callable[[str], Any], app: Path, patch_bundle: Bundle, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key.pem")
    run(SignConfig(patch_bundle.path, key=tmp_path / "key.pem", release=7, out=app / "signed.zip"))
    run(SignConfig(patch_bundle.path, key=tmp_path / "key.pem", release=8, out=app / "changed.zip"))
    (app / "changed.zip").write_bytes((app / "signed.zip").read_bytes()[::-1])
    installed, release, name, refused = call(INSTALL.replace("KEY", key).replace("FILE", "signed.zip"))
    assert (installed, release, name) == ([True, False], 7, "patch-64")
    assert refused == "the downloaded file is not the signed one: it is incomplete or has been changed"
