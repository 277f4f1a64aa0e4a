"""What of apps/ios can be checked without Swift: its text files name what is there. ``make test-ios`` does the rest."""

import re
from pathlib import Path

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
