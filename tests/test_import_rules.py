"""Who may import whom: the contracts of pyproject.toml, and what really gets loaded."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mobiledet.cli import COMMANDS

FRAMEWORKS = {
    "torch",
    "torchvision",
    "lightning_fabric",
    "tensorflow",
    "coremltools",
    "coreai_torch",
    "coreai",
    "litert_torch",
    "ai_edge_quantizer",
    "jax",
}
NOT_FOR_HELP = FRAMEWORKS | {"numpy", "cv2", "PIL", "matplotlib", "albumentations", "pycocotools", "ai_edge_litert"}


def loaded_by(source: str) -> set[str]:
    """Top-level names of the modules that a fresh Python has loaded after running ``source``."""
    script = f"import sys\ntry:\n    {source}\nexcept SystemExit:\n    pass\nprint('loaded:', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def contracts(root: Path) -> list[dict[str, list[str]]]:
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    found: list[dict[str, list[str]]] = settings["tool"]["importlinter"]["contracts"]
    return found


def test_contracts_are_kept(project_root: Path) -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [linter, "--no-cache", "--no-logo"], cwd=project_root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_module_has_its_row(project_root: Path) -> None:
    """A module in no row would be free to import anything."""
    rows = " ".join(contracts(project_root)[0]["layers"])
    placed = set(re.findall(r"mobiledet\.(\w+)", rows))
    folder = project_root / "mobiledet"
    present = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/*.py")}
    assert present - {"__init__"} == placed


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by("from mobiledet import cli; cli.main(['--help'])")
    assert "mobiledet" in loaded
    assert not loaded & (NOT_FOR_HELP | {"tyro", "rich"})


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_loads_no_framework(name: str) -> None:
    loaded = loaded_by(f"from mobiledet import cli; cli.main([{name!r}, '--help'])")
    assert "tyro" in loaded
    assert not loaded & NOT_FOR_HELP


def test_light_modules_load_no_framework(project_root: Path) -> None:
    """The contract reads the source alone; this sees what the packages that it names load in their turn."""
    (light,) = (c["source_modules"] for c in contracts(project_root) if "mobiledet.spec" in c.get("source_modules", []))
    names = ", ".join(name for name in light if "*" not in name)
    loaded = loaded_by(f"import {names}")
    assert not loaded & FRAMEWORKS
