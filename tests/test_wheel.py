"""The wheel built from the tree holds the whole project, and nothing else."""

import configparser
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mobiledet import __version__
from mobiledet.devices.browser.site import page_sources

NOT_SOURCE = shutil.ignore_patterns(
    ".git", "node_modules", ".*_cache", ".venv", "__pycache__", "build", "dist", "runs", "*.egg-info", "*.mobiledet"
)


@pytest.fixture(scope="module")
def wheel(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the tree, with the build tools of this environment: no network."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(project_root, folder / "tree", ignore=NOT_SOURCE, symlinks=True)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(folder / "tree"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_every_file_of_the_packages_is_in_it(wheel: zipfile.ZipFile, project_root: Path) -> None:
    expected = set()
    for package in (project_root / "mobiledet", project_root / "converters/mobiledet_converters"):
        for path in package.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(path.relative_to(package.parent).as_posix())
    page = {f"mobiledet_web/{name}" for name in page_sources()}
    assert {"mobiledet_web/package-lock.json", "mobiledet_web/protocol/messages.schema.json"} <= page
    expected |= page
    assert {"mobiledet/cli.py", "mobiledet_converters/__init__.py"} <= expected
    assert {name for name in wheel.namelist() if not name.startswith("mobiledet-")} == expected


def test_metadata(wheel: zipfile.ZipFile) -> None:
    folder = f"mobiledet-{__version__}.dist-info"
    header = HeaderParser().parsestr(wheel.read(f"{folder}/METADATA").decode())
    assert header["Name"] == "mobiledet"
    assert header["Version"] == __version__
    assert header["License-Expression"] == "Apache-2.0"
    runs = {"train", "evaluate", "pretrained", "video", "sign", "tflite", "coreml", "coreai"}
    extras = {*runs, "all", "dev", "docs", "release"}
    assert extras == set(header.get_all("Provides-Extra") or [])
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()


def test_entry_point(wheel: zipfile.ZipFile) -> None:
    entries = configparser.ConfigParser()
    entries.read_string(wheel.read(f"mobiledet-{__version__}.dist-info/entry_points.txt").decode())
    assert dict(entries["console_scripts"]) == {"mobiledet": "mobiledet.cli:main"}


def test_wheel_runs_without_the_tree(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    source = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "import mobiledet, mobiledet_converters; from mobiledet.cli import main; status = main(['--version']);"
        "print(mobiledet.__file__, mobiledet_converters.__file__); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", source], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    version, files = done.stdout.splitlines()
    assert version == f"mobiledet {__version__}"
    assert all(file.startswith(str(tmp_path)) for file in files.split())


def test_constraints_fit_every_range(project_root: Path) -> None:
    pinned = {}
    for line in (project_root / "constraints.txt").read_text().splitlines():
        name, separator, version = line.partition("==")
        assert separator == "==", f"constraints.txt holds names and versions alone, not {line!r}"
        pinned[name] = version
    settings = tomllib.loads((project_root / "pyproject.toml").read_text())
    project = settings["project"]
    for texts in (project["dependencies"], *project["optional-dependencies"].values()):
        for requirement in map(Requirement, texts):
            if requirement.name != "mobiledet":
                assert requirement.specifier.contains(pinned[requirement.name]), requirement
