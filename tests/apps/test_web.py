"""The page's own tests, which Node.js runs, and that its parts fit those of the package."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet import __version__
from mobiledet.devices.browser import server
from mobiledet.devices.browser.site import page_folder


@pytest.fixture(scope="module")
def web(project_root: Path) -> Path:
    return project_root / "apps" / "web"


@pytest.mark.slow
def test_units(web: Path, npm_install: Callable[[Path], Path]) -> None:
    npm_install(web)
    done = subprocess.run(["node", "--test"], cwd=web, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "# pass 0" not in done.stdout


def test_versions_agree(web: Path) -> None:
    assert json.loads((web / "package.json").read_text())["version"] == __version__
    assert f"body_bytes: {server.BODY_BYTES:_}," in (web / "src" / "ui" / "main.js").read_text()


@pytest.mark.parametrize("folder", [".", "testing"])
def test_lock_file_names_no_registry(web: Path, folder: str) -> None:
    assert "resolved" not in (web / folder / "package-lock.json").read_text()


@pytest.mark.slow
def test_built_page_asks_no_other_server(real_program: Callable[[str, str], str]) -> None:
    real_program("npm", "npm")
    own = [path for path in page_folder().rglob("*") if path.suffix in (".html", ".css", ".js")]
    own = [path for path in own if "vendor" not in path.parts]
    assert len(own) > 15
    for path in own:
        text = path.read_text().replace("http://agent", "")
        assert "https://" not in text, path
        assert "http://" not in text, path
