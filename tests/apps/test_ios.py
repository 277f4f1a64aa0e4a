"""What of apps/ios can be checked without Swift: its text files name what is there. ``make test-ios`` does the rest."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import mobiledet


def test_versions_are_that_of_the_package(project_root: Path) -> None:
    folder = project_root / "apps" / "ios"
    version = re.escape(mobiledet.__version__)
    assert re.search(f'"{version}"', (folder / "Sources/MobileDetCore/Version.swift").read_text())
    assert re.search(f"MARKETING_VERSION: {version}\n", (folder / "project.yml").read_text())


def test_paths_in_the_descriptions_exist(project_root: Path) -> None:
    package, project = (project_root / "Package.swift").read_text(), _project(project_root)
    paths = re.findall(r'path: "([^"]+)"', package)
    assert len(paths) == len(re.findall(r"\w*[tT]arget\(|\.systemLibrary\(", package)) >= 9
    sources = [source["path"] for source in project["targets"]["MobileDetApp"]["sources"]]
    paths += [f"apps/ios/{path}" for path in sources]
    assert [path for path in paths if not (project_root / path).is_dir()] == []
    # one manifest, at the root, where the app's project finds it, too
    assert sorted(path.name for path in (project_root / "apps").rglob("Package.swift")) == []
    assert (project_root / "apps/ios" / project["packages"]["MobileDet"]["path"] / "Package.swift").is_file()


def test_the_oldest_system_is_that_of_the_bundles(project_root: Path) -> None:
    from mobiledet_converters.config import ExportConfig

    ios = ExportConfig.__dataclass_fields__["ios"].default
    package, project = (project_root / "Package.swift").read_text(), _project(project_root)
    oldest = re.findall(r'\.iOS\("([\d.]+)"\)', package)
    assert oldest == [project["options"]["deploymentTarget"]["iOS"]] == [f"{ios}.0"]
    assert f"iOS {ios} or macOS" in (project_root / "apps/ios/README.md").read_text()
    # declarations of the doubles that are newer are used behind a check alone
    folder = project_root / "apps/ios/Sources/MobileDetKit"
    for words, check in [("MLComputePlan", "iOS 17.4, macOS 14.4"), ("AIModel|CoreAIDetector", "iOS 27.0, macOS 27.0")]:
        users = [file for file in folder.rglob("*.swift") if re.search(rf"\b({words})\b", file.read_text())]
        assert users
        assert [file.name for file in users if f"available({check}, *)" not in file.read_text()] == []


def test_the_app_runs_optimised_code(project_root: Path) -> None:
    project = _project(project_root)
    assert project["schemes"]["MobileDet"]["run"]["config"] == "Release"


def _project(project_root: Path) -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load((project_root / "apps/ios/project.yml").read_text())
    return described


# the parts of `swift package dump-package` that the rules look at
MANIFEST: dict[str, Any] = {
    "dependencies": [],
    "swiftLanguageVersions": ["6"],
    "products": [{"name": "Kit", "targets": ["Kit"], "type": {"library": ["automatic"]}}],
    "targets": [{"name": "Kit", "path": "Sources", "settings": []}],
}


@pytest.mark.parametrize(
    ("change", "index", "told"),
    [
        ({}, "[Kit]", ""),
        ({"dependencies": [{}]}, "[Kit]", "depends on others"),
        ({"swiftLanguageVersions": ["5"]}, "[Kit]", "language modes are ['5']"),
        ({"products": []}, "[]", "no library product"),
        ({"targets": [{"name": "Kit", "path": "Nowhere", "settings": []}]}, "[Kit]", "no folder: Nowhere"),
        (
            {"targets": [{"name": "Kit", "path": "Sources", "settings": [{"kind": {"unsafeFlags": {"_0": ["-O"]}}}]}]},
            "[Kit]",
            "unsafe flags",
        ),
        (
            {
                "targets": [
                    {"name": "Kit", "path": "Sources", "settings": [{"kind": {"swiftLanguageMode": {"_0": "5"}}}]}
                ]
            },
            "[Kit]",
            "another language mode",
        ),
        ({}, "[Other]", "documents Other"),
        ({}, "[Kit]\n      documentation: [Kit]", "documentation is no key"),
    ],
)
def test_what_keeps_a_package_from_users_is_found(
    tmp_path: Path, change: dict[str, Any], index: str, told: str
) -> None:
    (tmp_path / "Sources").mkdir()
    (tmp_path / ".spi.yml").write_text(
        f"version: 1\nbuilder:\n  configs:\n    - platform: ios\n      documentation_targets: {index}\n"
    )
    rules = runpy.run_path(str(Path(__file__).parents[2] / "apps/ios/Checks/package_rules.py"))
    found = list(rules["problems"](MANIFEST | change, tmp_path / ".spi.yml"))
    assert [told in problem for problem in found] == [True] * bool(told), found


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
        (
            "          - UIInterfaceOrientationPortraitUpsideDown\n",
            "",
            "on iPad UIInterfaceOrientationPortraitUpsideDown",
        ),
        ("UISupportedInterfaceOrientations~ipad:", "Other:", "on iPad UIInterfaceOrientationPortraitUpsideDown"),
        (
            "Orientations:\n          - UIInterfaceOrientationPortrait",
            "Orientations:\n          - Portrait",
            "names none",
        ),
        ('xcodeVersion: "26.0"', 'xcodeVersion: "16.4"', "options.xcodeVersion is not 26"),
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
    shutil.copytree(source / "Sources/MobileDetKit", copy / "Sources/MobileDetKit")
    for name in ("project.yml", "Sources/MobileDetCore/PrivacyInfo.xcprivacy"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, copy / name)
    return copy
