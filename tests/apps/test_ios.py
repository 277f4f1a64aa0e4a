"""What of apps/ios can be checked without Swift: its text files name what is there. ``make test-ios`` does the rest."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import mobiledet


def test_versions_are_that_of_the_package(project_root: Path) -> None:
    folder = project_root / "apps" / "ios"
    version = re.escape(mobiledet.__version__)
    assert re.search(f'"{version}"', (folder / "Sources/MobileDetCore/Version.swift").read_text())
    assert re.search(f"MARKETING_VERSION: {version}\n", (folder / "project.yml").read_text())


def test_paths_in_the_descriptions_exist(project_root: Path) -> None:
    folder = project_root / "apps" / "ios"
    package, project = (folder / "Package.swift").read_text(), (folder / "project.yml").read_text()
    paths = re.findall(r'path: "([^"]+)"', package) + re.findall(r"path: (App/\w+)\n", project)
    named = re.findall(r'\.target\(name: "(\w+)"(?!.*path:)', package)
    tests = re.findall(r'\.testTarget\(name: "(\w+)"', package)
    paths += [f"Sources/{name}" for name in named] + [f"Tests/{name}" for name in tests]
    assert len(paths) >= 9
    assert [path for path in paths if not (folder / path).is_dir()] == []


def test_versions_of_the_protocol_agree(project_root: Path) -> None:
    from mobiledet.devices.agent.messages import PROTOCOL

    messages = (project_root / "apps/ios/Sources/MobileDetCore/Agent/Messages.swift").read_text()
    assert f"let protocolVersion = {PROTOCOL}\n" in messages


def _store_rules(folder: Path) -> tuple[int, str]:
    script = Path(__file__).parents[2] / "apps/ios/Checks/store_rules.py"
    done = subprocess.run([sys.executable, str(script), str(folder / "project.yml")], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_store_has_nothing_against_the_project(project_root: Path) -> None:
    assert _store_rules(project_root / "apps" / "ios")[0] == 0


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('FAMILY: "1"', 'FAMILY: "1,2"', "on iPad UIInterfaceOrientationLandscapeLeft"),
        ("[UIInterfaceOrientationPortrait]", "[Portrait]", "UISupportedInterfaceOrientations names"),
        ("APPICON_NAME: AppIcon", "APPICON_NAME: Icon", "there is no icon"),
        ("      - path: App/Assets.xcassets\n", "", "there is no icon"),
        ("NSCameraUsageDescription: The camera picture", "NSOther: The camera picture", "NSCameraUsageDescription"),
        ("UILaunchScreen: {}", "", "no launch screen"),
        ("ITSAppUsesNonExemptEncryption: false", "", "ITSAppUsesNonExemptEncryption"),
        ("MARKETING_VERSION: ", "MARKETING_VERSION: v", "MARKETING_VERSION"),
        ("PRODUCT_BUNDLE_IDENTIFIER: dev.mobiledet.app", "PRODUCT_BUNDLE_IDENTIFIER: app", "PRODUCT_BUNDLE_IDENTIFIER"),
    ],
)
def test_what_the_store_refuses_is_found(
    project_root: Path, tmp_path: Path, before: str, after: str, told: str
) -> None:
    copy = _copy(project_root, tmp_path)
    text = (copy / "project.yml").read_text()
    assert before in text
    (copy / "project.yml").write_text(text.replace(before, after))
    status, said = _store_rules(copy)
    assert (status, told in said) == (1, True), said


@pytest.mark.parametrize(("size", "mode"), [((512, 512), "RGB"), ((1024, 1024), "RGBA")])
def test_icons_have_one_size_and_no_transparency(
    project_root: Path, tmp_path: Path, size: tuple[int, int], mode: str
) -> None:
    copy = _copy(project_root, tmp_path)
    Image.new(mode, size).save(copy / "App/Assets.xcassets/AppIcon.appiconset/icon.png")
    status, said = _store_rules(copy)
    assert (status, "icon.png must be 1024 x 1024 pixels in RGB" in said) == (1, True)


def _copy(project_root: Path, tmp_path: Path) -> Path:
    """The parts of the project that the rules look at."""
    source, copy = project_root / "apps" / "ios", tmp_path / "ios"
    shutil.copytree(source / "App", copy / "App", ignore=shutil.ignore_patterns("*.mobiledet"))
    for name in ("project.yml", "Sources/MobileDetCore/PrivacyInfo.xcprivacy"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, copy / name)
    return copy
