"""Where the page comes from, and what is said when it cannot be had."""

from pathlib import Path

import pytest

from mobiledet import cli
from mobiledet.devices.browser import device
from mobiledet.devices.browser.address import qr_code
from mobiledet.devices.browser.site import page_folder, page_problem
from mobiledet.devices.reachable import reachable
from mobiledet.errors import UserError


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MOBILEDET_WEB_SITE", raising=False)
    return tmp_path / "cache"


def _program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_without_node(empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"node is not installed.*install Node.js 20.19 or newer.*MOBILEDET_WEB_SITE"):
        page_folder()
    assert page_problem().startswith("node is not installed")
    (row,) = [row for row in reachable() if row.address == "browser"]
    assert not row.ready


@pytest.mark.parametrize(("version", "reason"), [("v18.20.4", "v18.20.4 is too old"), ("v22.1.0", "no registry today")])
def test_node_too_old_and_npm_fails(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, reason: str
) -> None:
    """Doubles of the two programs: neither an old Node.js nor a broken registry is to be had."""
    _program(tmp_path / "bin", "node", f"echo {version}")
    _program(tmp_path / "bin", "npm", "echo no registry today >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UserError, match=reason):
        page_folder()
    assert not [path for path in empty_cache.rglob("*") if path.is_file()]


def test_given_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOBILEDET_WEB_SITE", str(tmp_path))
    with pytest.raises(UserError, match="contains no page"):
        page_folder()
    (tmp_path / "vendor").mkdir()
    assert page_folder() == tmp_path
    assert not page_problem()


def test_nobody_opens_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOBILEDET_WEB_SITE", str(tmp_path))
    (tmp_path / "vendor").mkdir()
    with pytest.raises(UserError, match="nobody opened the page"):
        device.BrowserDevice(patience_seconds=0.1)
    printed = capsys.readouterr().out
    assert "open http://" in printed
    assert "others who can read it in this network see the token" in printed
    with pytest.raises(UserError, match="nobody opened the page"):
        device.BrowserDevice("localhost", patience_seconds=0.1)
    assert "open http://localhost:" in capsys.readouterr().out


def test_code_holds_the_address() -> None:
    """A detector of QR codes that is not ours reads it."""
    import cv2
    import numpy as np

    url = "http://192.168.178.23:45123/#abcdefghijklmnopqrstuvwx"
    # each character stands for two rows of modules; light ones are drawn
    halves = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
    lines = [[halves[character] for character in line] for line in qr_code(url).splitlines()]
    light = np.array([[pair[half] for pair in line] for line in lines for half in (0, 1)])
    picture = np.kron(light.astype(np.uint8) * 255, np.ones((8, 8), np.uint8))
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == url


def test_command_refuses_what_it_cannot_serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["web", str(tmp_path / "none.mobiledet")]) == 2
    assert "no bundle at" in capsys.readouterr().err
    assert cli.main(["web", "--port", "99999"]) == 2
    assert "--port 99999" in capsys.readouterr().err
