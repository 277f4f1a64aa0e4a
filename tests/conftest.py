"""Fixtures that several folders of tests share: the tree, a detector of coloured squares, a data set that it solves."""

import dataclasses
import gc
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from mobiledet.bundle import Bundle, ModelFile, open_bundle, write_bundle
from mobiledet.golden import Golden, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import Tolerance
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec

SIDE = 64
CELLS = 8
LABELS = ("red", "green", "blue")
CATEGORY_IDS = (3, 5, 9)
TOLERANCES = {"float32": Tolerance(0.99, 1e-3), "float16": Tolerance(0.95, 0.01)}
# root needs --no-sandbox; the rest keeps Chromium from looking for Google's hosts
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

Cell = tuple[int, int, int]  # row, column, label


def pytest_configure() -> None:
    """Let Ctrl-C reach the tests and what they start, even where pytest runs in the background of a shell without job
    control, which has its children ignore it."""
    gc.set_threshold(50_000, 20, 20)  # see mobiledet.processes.garbage
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the trainings first: a long file at the end would leave the other process without work."""
    items.sort(key=lambda item: "training" not in item.path.parts)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of pyproject.toml."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_program() -> Callable[[str, str], str]:
    """Path of a program that a test drives, from its ``(name, Debian package)``.

    Where it is missing the test is skipped, or fails with MOBILEDET_REQUIRE_REAL_PARTS=1, as in continuous integration.
    """

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            reason = f"{name} is not installed (Debian: apt-get install {package})"
            (pytest.fail if os.environ.get("MOBILEDET_REQUIRE_REAL_PARTS") == "1" else pytest.skip)(reason)
        return path

    return find


@pytest.fixture(scope="session")
def open_page(real_program: Callable[[str, str], str]) -> Callable[[str], AbstractContextManager[None]]:
    """Opens an address in a real Chromium, for as long as a block lasts."""
    program = real_program("chromium", "chromium")

    @contextmanager
    def opened(url: str) -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
            command = [program, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", url]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                yield
            finally:
                process.terminate()
                process.wait(20)

    return opened


def paint(cells: list[Cell], width: int = SIDE, height: int = SIDE, value: int = 250) -> np.ndarray:
    """A black image (height x width x 3) with some of its 8 x 8 cells filled."""
    image = np.zeros((height, width, 3), np.uint8)
    for row, column, label in cells:
        tall, wide = height // CELLS, width // CELLS
        image[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide, label] = value
    return image


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run that all its processes share; who makes something in it holds a lock."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def npm_install(real_program: Callable[[str, str], str], shared_folder: Path) -> Callable[[Path], Path]:
    """Installs the locked npm packages of a folder, if that was not done yet; gives its node_modules."""
    npm = real_program("npm", "npm")

    def install(folder: Path) -> Path:
        packages = folder / "node_modules"
        with FileLock(shared_folder / "npm.lock"):
            if not (packages / ".package-lock.json").is_file():
                command = [npm, "ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
                subprocess.run(command, cwd=folder, check=True)
        return packages

    return install


@pytest.fixture(scope="session")
def patch_files(pytestconfig: pytest.Config) -> Path:
    """Folder of the .tflite files that ``patch_detector.py`` writes; kept in pytest's cache, TensorFlow is slow."""
    script = Path(__file__).parent / "patch_detector.py"
    digest = hashlib.sha256(script.read_bytes()).hexdigest()[:12]
    folder = pytestconfig.cache.mkdir(f"patch-detector-{digest}")
    with FileLock(folder / "lock"):  # several processes may run tests
        if not (folder / "done").exists():
            quiet = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
            subprocess.run([sys.executable, str(script), str(folder)], check=True, env=quiet, capture_output=True)
            (folder / "done").touch()
    return folder


def golden_outputs(cells: list[Cell], value: int) -> GoldenOutputs:
    """What the detector must find, worked out by hand."""
    corners = np.array([(row, column, row + 1, column + 1) for row, column, _ in cells], np.float32)
    return GoldenOutputs(
        boxes=corners.reshape(-1, 4) / CELLS,
        classes=np.array([label for _, _, label in cells], np.int64),
        scores=np.full(len(cells), value / 255, np.float32),
    )


@pytest.fixture(scope="session")
def write_patch_bundle(patch_files: Path) -> Callable[..., Bundle]:
    """Writes a bundle of one of the detectors under the names of two precisions: ``(folder, variant)``."""
    spec = ModelSpec(
        name="patch-64",
        backbone="patch",
        detector="cells",
        input=InputSpec(SIDE, SIDE),
        labels=LABELS,
        category_ids=CATEGORY_IDS,
        nms=NmsSpec(score=0.5, top_k=20, max_detections=20),
    )
    few, one = [(0, 0, 0), (3, 5, 1), (7, 7, 2)], [(2, 2, 2)]
    cases = (GoldenInput.of_pixels(paint(few)), GoldenInput.of_image(paint(one, 160, 96, value=200)))
    outputs = (golden_outputs(few, 250), golden_outputs(one, 200))
    recorded = {
        f"model.{precision}.tflite": GoldenFile(outputs, "by hand", tolerance, tolerance)
        for precision, tolerance in TOLERANCES.items()
    }

    def write(folder: Path, variant: str = "patch", size: InputSpec = spec.input) -> Bundle:
        model = patch_files / f"{variant}.tflite"
        files = [(model, ModelFile(f"model.{p}.tflite", "tflite", p, 0, "")) for p in TOLERANCES]
        golden = Golden(cases, recorded) if size == spec.input else _golden_of(size)
        return write_bundle(folder / f"{variant}.mobiledet", dataclasses.replace(spec, input=size), files, golden)

    return write


def part_of(size: InputSpec, height: int, width: int) -> tuple[int, int, int]:
    """Top and left of a picture in an input, in cells, and the pixels of the picture that make a cell: by hand, for
    pictures whose sides divide well."""
    factor = max(height / size.height, width / size.width)
    spare = [side - round(length / factor) for side, length in ((size.height, height), (size.width, width))]
    top, left = (margin // 2 if size.placement == "centre" else 0 for margin in spare)
    pixels = SIDE // CELLS
    assert not any((top % pixels, left % pixels, height % factor, width % factor))
    return top // pixels, left // pixels, round(pixels * factor)


def paint_boxed(size: InputSpec, cells: list[Cell], height: int, width: int, value: int = 250) -> np.ndarray:
    """A black image with some of the cells filled that it has in an input, counted from its own corner."""
    image = np.zeros((height, width, 3), np.uint8)
    pixels = part_of(size, height, width)[2]
    for row, column, label in cells:
        image[row * pixels : (row + 1) * pixels, column * pixels : (column + 1) * pixels, label] = value
    return image


def _golden_of(size: InputSpec) -> Golden:
    """An input, and a tall picture in a letterbox, whose boxes are fractions of the input."""
    pixels = SIDE // CELLS
    whole = np.array([size.height // pixels, size.width // pixels] * 2, np.float32)
    few, one = [(0, 0, 0), (3, 5, 1), (7, 7, 2)], [(4, 2, 2)]
    top, left, _ = part_of(size, 256, 128)
    places = few, [(row + top, column + left, label) for row, column, label in one]
    outputs = tuple(
        dataclasses.replace(golden_outputs(cells, value), boxes=golden_outputs(cells, value).boxes * CELLS / whole)
        for cells, value in zip(places, (250, 200), strict=True)
    )
    cases = (
        GoldenInput.of_pixels(paint_boxed(size, few, size.height, size.width)),
        GoldenInput.of_image(paint_boxed(size, one, 256, 128, 200)),
    )
    files = {f"model.{p}.tflite": GoldenFile(outputs, "by hand", each, each) for p, each in TOLERANCES.items()}
    return Golden(cases, files)


@pytest.fixture(scope="session")
def write_boxed_data() -> Callable[[Path, InputSpec], Path]:
    """Writes a data folder in COCO's layout of wide and tall pictures, on which a letterbox bundle is perfect: AP 1."""

    def write(folder: Path, size: InputSpec) -> Path:
        (folder / "val2017").mkdir(parents=True)
        (folder / "annotations").mkdir()
        images, annotations = [], []
        cells: list[Cell] = [(0, 0, 0), (1, 3, 1), (2, 2, 2), (3, 1, 0)]
        for index, (height, width) in enumerate([(128, 256), (256, 128), (128, 128)]):
            pixels = part_of(size, height, width)[2]
            Image.fromarray(paint_boxed(size, cells, height, width)).save(folder / "val2017" / f"{index}.png")
            images.append({"id": index + 1, "file_name": f"{index}.png", "width": width, "height": height})
            for row, column, label in cells:
                box = [column * pixels, row * pixels, pixels, pixels]
                about = {"id": len(annotations) + 1, "image_id": index + 1, "category_id": CATEGORY_IDS[label]}
                annotations.append({**about, "bbox": box, "area": pixels**2, "iscrowd": 0})
        categories = [{"id": i, "name": name} for i, name in zip(CATEGORY_IDS, LABELS, strict=True)]
        listing = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(listing))
        return folder

    return write


@pytest.fixture(scope="session")
def patch_bundle(write_patch_bundle: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that works."""
    return write_patch_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def paint_cells() -> Callable[..., np.ndarray]:
    """``paint`` above."""
    return paint


@pytest.fixture(scope="session")
def patch_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in COCO's layout, JPEG, on which ``patch_bundle`` is perfect: AP 1."""
    folder = tmp_path_factory.mktemp("data") / "patches"
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(6):
        width, height = [(128, 192), (256, 64), (320, 256)][index % 3]
        places = rng.choice(CELLS * CELLS, index, replace=False)
        cells = [(int(p) // CELLS, int(p) % CELLS, int(rng.integers(3))) for p in places]
        name = f"{index:03}.jpg"
        Image.fromarray(paint(cells, width, height)).save(folder / "val2017" / name, quality=95, subsampling=0)
        images.append({"id": 10 + 7 * index, "file_name": name, "width": width, "height": height})
        for row, column, label in cells:
            wide, tall = width / CELLS, height / CELLS
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": images[-1]["id"],
                    "category_id": CATEGORY_IDS[label],
                    "bbox": [column * wide, row * tall, wide, tall],
                    "area": wide * tall,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in zip(CATEGORY_IDS, LABELS, strict=True)]
    listing = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(listing))
    return folder


@pytest.fixture(scope="session")
def many_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """900 images of coloured squares, some of them mislabelled so that no number is round."""
    folder = tmp_path_factory.mktemp("many") / "squares"
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    rng = np.random.default_rng(3)
    images, annotations = [], []
    for index in range(900):
        places = rng.choice(64, int(rng.integers(1, 5)), replace=False)
        cells = [(int(p) // 8, int(p) % 8, int(rng.integers(3))) for p in places]
        name = f"{index:04}.jpg"
        picture = paint(cells, 96, 64, value=int(rng.integers(160, 250)))
        Image.fromarray(picture).save(folder / "val2017" / name, quality=95, subsampling=0)
        images.append({"id": index + 1, "file_name": name, "width": 96, "height": 64})
        for row, column, label in cells:
            seen = label if rng.random() < 0.8 else int(rng.integers(3))
            box = {"bbox": [column * 12, row * 8, 12, 8], "area": 96, "iscrowd": 0}
            ids = {"id": len(annotations) + 1, "image_id": index + 1, "category_id": (3, 5, 9)[seen]}
            annotations.append({**ids, **box})
    categories = [{"id": i, "name": name} for i, name in zip((3, 5, 9), ("red", "green", "blue"), strict=True)]
    listing = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(listing))
    return folder


@pytest.fixture(scope="session")
def scene_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve JPEG images of shapes, in a data folder of COCO's layout; beside them sixteen to calibrate with."""
    from mobiledet.data.shapes import write_shapes

    folder = tmp_path_factory.mktemp("scenes") / "set"
    write_shapes(folder, train=16, val=12, seed=5, workers=1)
    return folder / "val2017"


@pytest.fixture(scope="session")
def train_on_scenes(scene_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the checkpoint of a detector that has seen the scenes a few times: scores and boxes of all sorts."""
    import torch

    from mobiledet.checkpoint import Checkpoint, save_checkpoint
    from mobiledet.data.images import load_rgb
    from mobiledet.data.read import load_split
    from mobiledet.data.resize import resize
    from mobiledet.detectors import Targets, detector_from_spec
    from mobiledet.ops.images import normalize

    scenes = load_split(scene_folder.parent, "val")
    count = len(scenes.images)
    rows = max(len(image.labels) for image in scenes.images)

    def train(backbone: str, detector: str = "ssdlite", side: int = 96, steps: int = 30) -> Path:
        spec = ModelSpec(
            name=f"scenes-{side}",
            backbone=backbone,
            detector=detector,
            input=InputSpec(side, side),
            labels=("circle", "square", "triangle", "étoile", "ring", "cross"),
            category_ids=scenes.category_ids,
            nms=NmsSpec(iou=0.45, score=0.02, top_k=150, max_detections=40),
        )
        pixels = np.stack([resize(load_rgb(image.path), side, side) for image in scenes.images])
        images = normalize(torch.from_numpy(pixels).permute(0, 3, 1, 2), spec.input)
        targets = Targets(torch.zeros(count, rows, 4), torch.full((count, rows), -1))
        for index, image in enumerate(scenes.images):
            scale = torch.tensor([side / image.width, side / image.height] * 2)
            targets.boxes_xyxy[index, : len(image.labels)] = torch.from_numpy(image.boxes_xyxy) * scale
            targets.labels[index, : len(image.labels)] = torch.from_numpy(image.labels)

        torch.manual_seed(0)
        network = detector_from_spec(spec).train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            torch.stack(list(network(images, targets).values())).sum().backward()
            optimizer.step()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # the statistics become those of the pass below
        with torch.no_grad():
            network(images)
        path = tmp_path_factory.mktemp("checkpoint") / "scenes.ckpt"
        save_checkpoint(path, Checkpoint(spec, network.state_dict()))
        return path

    return train


@pytest.fixture(scope="session")
def scene_checkpoint(train_on_scenes: Callable[..., Path], shared_folder: Path) -> Path:
    """A checkpoint that many tests read."""
    path = shared_folder / "scenes.ckpt"
    with FileLock(shared_folder / "checkpoint.lock"):
        if not path.exists():
            shutil.copyfile(train_on_scenes("shufflenet_v2_0.5x"), path)
    return path


@pytest.fixture(scope="session")
def exported_bundle(scene_checkpoint: Path, scene_folder: Path, shared_folder: Path) -> Bundle:
    """What ``mobiledet export`` makes of it by default; takes most of a minute."""
    from mobiledet_converters.config import ExportConfig
    from mobiledet_converters.export import export

    out = shared_folder / "scenes.mobiledet"
    with FileLock(shared_folder / "bundle.lock"):
        if not out.exists():
            export(ExportConfig(scene_checkpoint, out, images=scene_folder, calibration=str(scene_folder.parent)))
    return open_bundle(out)


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in ("meta", "img", "input"):
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open, f"</{name}> without a start"
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data + "\n"

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.elements if name in (attributes.get("class") or "").split()]

    def has(self, section: str) -> bool:
        return any(name == "section" and attributes.get("id") == section for name, attributes in self.elements)


@pytest.fixture(scope="session")
def parse() -> Callable[[str], Page]:
    """Reads a page; one whose elements are not closed in their order is an error."""
    return Page
