"""``mobiledet devices``; the phones that the real adb client sees are told in tests/devices/adb."""

import json
import socket
from pathlib import Path

import pytest

from mobiledet import cli


def test_tells_what_is_there_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no adb, no tool for iPhones, no Node.js
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path))
    monkeypatch.delenv("MOBILEDET_WEB_SITE", raising=False)
    for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT", "MOBILEDET_AGENT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert cli.main(["devices", url, "board", "--json"]) == 0
    rows = {row["address"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["local", "adb:SERIAL", "ios:UDID", "browser", "arm", url, "board"]
    assert [row["ready"] for row in rows.values()] == [True, False, False, False, False, False, False]
    assert rows["local"]["note"].startswith("ready: litert")
    assert "adb is not installed" in rows["adb:SERIAL"]["note"]
    assert "pymobiledevice3" in rows["ios:UDID"]["note"]
    assert "node is not installed" in rows["browser"]["note"]
    assert "run `mobiledet arm-setup` first" in rows["arm"]["note"]
    assert "is it running?" in rows[url]["note"]
    assert "give http://HOST:PORT" in rows["board"]["note"]
    assert cli.main(["devices"]) == 0
    assert "local" in capsys.readouterr().out
