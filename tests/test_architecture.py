"""docs/architecture.md names what is there."""

import re
import tomllib
from pathlib import Path

import pytest

DATA = "mobiledet_web"  # the page's sources, which are no Python


@pytest.fixture(scope="module")
def page(project_root: Path) -> str:
    return (project_root / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def named(page: str) -> set[str]:
    """The modules and packages that the page names."""
    return set(re.findall(r"\bmobiledet(?:_converters|_web)?(?:\.\w+)+|\bmobiledet_\w+\b", page))


def test_what_it_names_exists(named: set[str], project_root: Path) -> None:
    assert len(named) > 50
    assert not [name for name in named if not name.startswith(DATA) and not _exists(project_root, name)]


def _source(root: Path, name: str) -> Path | None:
    """Of a module or package; nothing is imported for it."""
    path = root / name.replace("mobiledet_converters", "converters/mobiledet_converters").replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _exists(root: Path, name: str) -> bool:
    """Whether it is a module or package, or an entry of one, such as ``mobiledet.backbones.Backbone``."""
    module, _, entry = name.rpartition(".")
    source = _source(root, module)
    is_entry = source is not None and re.search(rf"\b{entry}\b", source.read_text(encoding="utf-8"))
    return _source(root, name) is not None or bool(is_entry)


def test_every_package_and_module_is_named(named: set[str], project_root: Path) -> None:
    settings = tomllib.loads((project_root / "pyproject.toml").read_text())
    packages = set(settings["tool"]["setuptools"]["packages"]) - {"mobiledet"}
    modules = {f"mobiledet.{path.stem}" for path in (project_root / "mobiledet").glob("*.py")} - {"mobiledet.__init__"}
    assert not (packages | modules) - named


def test_paths_that_it_names_exist(page: str, project_root: Path) -> None:
    paths = {text for text in re.findall(r"`([\w./]+)`", page) if "/" in text}
    assert len(paths) >= 7
    assert not [path for path in paths if not (project_root / path).exists()]


def test_tables_that_it_names_exist(page: str, project_root: Path) -> None:
    """Such as ``DEVICES`` (``mobiledet.devices``)."""
    pairs = re.findall(r"`([A-Z]\w+)`\s\(`(mobiledet[\w.]+)`", page)
    assert len(pairs) >= 6
    assert not [(table, module) for table, module in pairs if not _exists(project_root, f"{module}.{table}")]


def test_contributors_and_readers_are_sent_there(project_root: Path) -> None:
    for name in ("CONTRIBUTING.md", "README.md"):
        assert "docs/architecture.md" in (project_root / name).read_text(encoding="utf-8")
