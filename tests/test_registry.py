"""Backbones and detectors of other packages, found by their entry points."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mobiledet.errors import UserError
from mobiledet.registry import Registry

POINTS = """
[mobiledet.backbones]
outside_net = outside_net:OutsideNet
[mobiledet.detectors]
outside_ssd = outside_net:DETECTOR
"""


def install(folder: Path, points: str, name: str = "outside-net") -> None:
    """What an installer leaves beside a package."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(points)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copy(Path(__file__).parent / "outside" / "outside_net.py", folder)
    install(folder, POINTS)
    return folder


def run(packages: Path, *arguments: str, seconds: float = 250) -> str:
    """What a fresh Python prints that sees the installed packages."""
    environment = {**os.environ, "PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


SHOW = """
import dataclasses, json, torch, mobiledet
from mobiledet.backbones import BACKBONES, build_classifier
from mobiledet.complexity import count_parameters
from mobiledet.detectors import Targets, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.options import OtherOptions
from mobiledet.spec import InputSpec, ModelSpec
names = mobiledet.list_backbones(), mobiledet.list_detectors()
options = OtherOptions({"loss": "hard_negative"})
spec = ModelSpec("x", "outside_net", "outside_ssd", InputSpec(64, 64), ("a", "b"), (1, 2), detector_options=options)
detector = detector_from_spec(spec)
targets = Targets(torch.tensor([[[4.0, 8.0, 40.0, 50.0]]] * 2), torch.zeros(2, 1, dtype=torch.long))
loss = sum(detector(torch.randn(2, 3, 64, 64), targets).values())
loss.backward()
try:
    detector_from_spec(dataclasses.replace(spec, detector_options=OtherOptions({"loss": "l1"})))
except UserError as error:
    refused = str(error)
steps = all(parameter.grad is not None for parameter in detector.parameters())
loss = type(detector.loss).__name__
print(json.dumps([*names, steps, len(BACKBONES), count_parameters(build_classifier("outside_net", 10)), loss, refused]))
"""


def test_outside_networks_are_listed_built_and_taught(packages: Path) -> None:
    backbones, detectors, steps, count, parameters, loss, refused = json.loads(run(packages, "-c", SHOW))
    assert backbones[0] == "mobilenet_v1_0.25x"
    assert backbones[-1] == "outside_net"
    assert count == len(backbones)
    assert detectors[-1] == "outside_ssd"
    assert steps
    assert loss == "HardNegativeLoss"
    assert refused == "detector outside_ssd: detector_options.loss is 'l1', not one of focal, hard_negative"
    weights = 9 * (3 * 8 + 8 * 12 + 12 * 16 + 16 * 24 + 24 * 32) + 2 * (8 + 12 + 16 + 24 + 32)
    assert parameters == weights + 32 * 10 + 10


@pytest.mark.exhaustive
@pytest.mark.timeout(1100)
def test_from_training_to_boxes(packages: Path, scene_folder: Path, tmp_path: Path) -> None:
    """The converters see it too, each in its own process."""
    source = f"""
import mobiledet
run = mobiledet.train(backbone="outside_net", detector="outside_ssd", data={str(scene_folder.parent)!r}, image_size=64,
                      epochs=2, batch_size=8, workers=0, accelerator="cpu", out={str(tmp_path / "run")!r}, quiet=True)
bundle = mobiledet.export(run.best, precisions=["float32", "float16"], measure=False, judge=False, quiet=True)
print(*(file.path for file in bundle.files))
"""
    files = run(packages, "-c", source, seconds=1000).split()
    assert files == [
        "model.float32.tflite",
        "model.float16.tflite",
        "model.float32.mlpackage",
        "model.float32.vision.mlpackage",
        "model.float16.mlpackage",
        "model.float16.vision.mlpackage",
    ]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    """Two entries of our own beside those of packages in an empty folder."""
    monkeypatch.syspath_prepend(tmp_path)
    return Registry("thing", "mobiledet.things", {"one": 1, "two": 2})


def test_without_packages(table: Registry[int]) -> None:
    assert dict(table) == {"one": 1, "two": 2}
    assert "three" not in table
    with pytest.raises(KeyError):
        table["three"]


def test_packages_are_imported_when_asked_for(table: Registry[int], tmp_path: Path) -> None:
    install(tmp_path, "[mobiledet.things]\nsix = things_of_this_test:SIX\nfour = absent_module:X\n")
    (tmp_path / "things_of_this_test.py").write_text("SIX = 6\n")
    assert list(table) == ["one", "two", "four", "six"]
    assert len(table) == 4
    assert "four" in table
    assert table["six"] == 6
    with pytest.raises(
        UserError, match=r"thing four of the package outside-net cannot be loaded: ModuleNotFoundError: .*absent_module"
    ):
        table["four"]


def test_two_of_one_name_are_refused_when_asked_for(table: Registry[int], tmp_path: Path) -> None:
    install(tmp_path, "[mobiledet.things]\none = things:ONE\nsix = things:SIX\n")
    install(tmp_path, "[mobiledet.things]\nsix = others:SIX\n", "others")
    assert list(table) == ["one", "two", "six"]
    assert table["two"] == 2
    with pytest.raises(UserError, match="several packages have a thing one: mobiledet, outside-net; uninstall"):
        table["one"]
    with pytest.raises(
        UserError, match=r"several packages have a thing six: (outside-net, others|others, outside-net)"
    ):
        table["six"]


def test_objects_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    from mobiledet import backbones, detectors
    from mobiledet.backbones import build_backbone
    from mobiledet.detectors import build_detector

    monkeypatch.setitem(backbones._OURS, "wrong", lambda norm_layer: 7)
    monkeypatch.setitem(detectors._OURS, "wrong", len)
    with pytest.raises(UserError, match=r"backbone wrong is a int, not a mobiledet\.backbones\.Backbone"):
        build_backbone("wrong")
    with pytest.raises(UserError, match=r"detector wrong is a .*, not a mobiledet\.detectors\.DetectorEntry"):
        build_detector("wrong", build_backbone("shufflenet_v2_0.5x"), 2, (64, 64))
