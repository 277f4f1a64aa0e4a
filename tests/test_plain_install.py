"""What a plain install, ``pip install mobiledet``, does: run bundles, with the packages that it has and no others."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mobiledet.bundle import Bundle

MOBILEDET = str(Path(sys.executable).with_name("mobiledet"))
HIDE = """
# refuses to import what a plain install has not
import importlib.abc, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""


def installed_by_a_plain_install() -> set[str]:
    """Packages, by following the requirements without extras."""
    found: set[str] = set()
    names = ["mobiledet"]
    while names:
        name = canonicalize_name(names.pop())
        if name in found:
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names.append(requirement.name)
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose Python sees the packages of a plain install alone."""
    packages = installed_by_a_plain_install()
    hidden = {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not packages & {canonicalize_name(owner) for owner in owners} and not module.startswith("_")
    }
    assert {"torch", "cv2", "matplotlib", "pycocotools"} <= hidden
    folder = tmp_path_factory.mktemp("plain")
    (folder / "sitecustomize.py").write_text(HIDE.format(hidden=hidden))
    return {**os.environ, "PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "200"}


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_it_evaluates_to_the_same_map(
    plain: dict[str, str], patch_bundle: Bundle, many_images: Path, tmp_path: Path
) -> None:
    scores: list[dict[str, float]] = []
    for environment in (plain, dict(os.environ)):
        out = tmp_path / f"{len(scores)}.json"
        data = ["--data", str(many_images), "--limit", "40", "--no-latency"]
        done = run([MOBILEDET, "evaluate", str(patch_bundle.root), *data, "--out", str(out)], environment)
        assert done.returncode == 0, done.stderr
        scores.append(json.loads(out.read_text())["accuracy"]["metrics"])
    assert scores[0] == scores[1]
    assert 0 < scores[0]["AP"] < 1


def test_it_predicts(plain: dict[str, str], patch_bundle: Bundle, many_images: Path, tmp_path: Path) -> None:
    picture = sorted((many_images / "val2017").iterdir())[0]
    done = run([MOBILEDET, "predict", str(patch_bundle.root), str(picture), "--out", str(tmp_path)], plain)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / picture.name).is_file()
    source = "import mobiledet, sys; print(len(mobiledet.Detector.open(sys.argv[1]).detect(sys.argv[2])))"
    done = run(["-c", source, str(patch_bundle.root), str(picture)], plain)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


@pytest.mark.parametrize(
    ("arguments", "module", "extra"),
    [
        (["train", "--data", "x"], "torch", "train"),
        (["export", "x.ckpt"], "torch", "train"),
        (["report", "x.json"], "matplotlib", "evaluate"),
        (["shapes", "--out", "x", "--train", "1", "--val", "1"], "cv2", "evaluate"),
    ],
)
def test_what_is_missing_is_named(plain: dict[str, str], arguments: list[str], module: str, extra: str) -> None:
    done = run([MOBILEDET, *arguments], plain)
    assert done.returncode == 2
    assert f"the Python package '{module}' is not installed: pip install 'mobiledet[{extra}]'" in done.stderr


def test_videos_ask_for_their_extra(plain: dict[str, str], patch_bundle: Bundle, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    done = run([MOBILEDET, "predict", str(patch_bundle.root), str(clip), "--out", str(tmp_path / "out")], plain)
    assert done.returncode == 2
    assert "clip.mp4 needs PyAV, not installed: pip install 'mobiledet[video]'" in done.stderr


def test_the_doctor_finds_it_sound(plain: dict[str, str]) -> None:
    done = run([MOBILEDET, "doctor", "--json"], plain)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["packages"]["status"] == "ok"
