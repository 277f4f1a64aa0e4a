"""iPhones, with a double of the tools that reach them (``tools_double.py``) and the Python agent as the app."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mobiledet.bundle import Bundle
from mobiledet.devices import open_device, starting
from mobiledet.devices.ios import device as ios_device
from mobiledet.devices.options import PhoneOptions
from mobiledet.errors import UserError

UDID = "00008130-001A2B3C4D5E6F78"


def listed(
    pairing: str = "paired", mode: str = "enabled", tunnel: str = "connected", udid: str = UDID
) -> dict[str, object]:
    """A phone as devicectl lists it."""
    return {
        "identifier": "5C5B0D9E-0000-0000-0000-000000000000",
        "connectionProperties": {"pairingState": pairing, "tunnelState": tunnel, "transportType": "wired"},
        "deviceProperties": {"name": "phone", "osVersionNumber": "18.1", "developerModeStatus": mode},
        "hardwareProperties": {
            "udid": udid,
            "marketingName": "iPhone 15",
            "platform": "iOS",
            "productType": "iPhone15,4",
        },
    }


class Tools:
    """Programs in a folder that is all of PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.state.mkdir()
        self.list(listed())
        (self.state / "usbmux.json").write_text(json.dumps([{"Identifier": UDID, "ProductType": "iPhone15,4"}]))

    def add(self, name: str) -> None:
        script = f"#!{sys.executable}\n" + Path(__file__).with_name("tools_double.py").read_text()
        (self.folder / name).write_text(script)
        (self.folder / name).chmod(0o755)

    def list(self, *phones: dict[str, object]) -> None:
        (self.state / "devicectl.json").write_text(json.dumps({"devices": phones}))

    @property
    def log(self) -> str:
        return (self.state / "log").read_text()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    made = Tools(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(ios_device, "PORT", free.getsockname()[1])
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setenv("STATE", str(made.state))
    monkeypatch.delenv("MOBILEDET_AGENT_TOKEN", raising=False)
    return made


@pytest.mark.parametrize("forwarder", ["iproxy", "pymobiledevice3"])
def test_devicectl_starts_the_app_and_ends_it(
    tools: Tools, forwarder: str, patch_bundle: Bundle, patch_data: Path, tmp_path: Path
) -> None:
    tools.add("xcrun")
    tools.add(forwarder)
    app = tmp_path / "App.app"
    app.mkdir()
    device = open_device("ios", phone=PhoneOptions(app=app))
    assert device.info().name == f"ios:{UDID}"
    session = device.load(patch_bundle, patch_bundle.select())
    session.golden()
    images = sorted((patch_data / "val2017").glob("*.jpg"))
    expected = open_device("local").load(patch_bundle, patch_bundle.select()).detect(images)
    for a, b in zip(expected, session.detect(images), strict=True):
        assert a.detections.labels.tolist() == b.detections.labels.tolist()
    port = ios_device.PORT
    device.close()
    terminate = next(line for line in tools.log.splitlines() if "process terminate" in line)
    pid = int(terminate.split("--pid ")[1].split()[0])
    assert f"install app --device {UDID} {app}" in tools.log
    assert (tools.state / "token").read_text() not in tools.log
    end = time.monotonic() + 10
    while socket.socket().connect_ex(("127.0.0.1", port)) == 0:
        assert time.monotonic() < end, f"the agent {pid} still listens"
        time.sleep(0.05)


def test_app_opened_by_hand(tools: Tools) -> None:
    tools.add("pymobiledevice3")
    token = "the-token-on-the-screen"
    with pytest.raises(UserError, match=r"does not start the app: open it on ios:0000.*--token$"):
        open_device(f"ios:{UDID}")
    words = [
        sys.executable,
        "-m",
        "mobiledet.cli",
        "agent",
        "--port",
        str(ios_device.PORT),
        "--cache",
        str(tools.state),
    ]
    environment = {**os.environ, "MOBILEDET_AGENT_TOKEN": token}
    app = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        device = open_device(f"ios:{UDID}", token)
        assert device.state().memory_bytes
        device.close()
        assert app.poll() is None
    finally:
        app.send_signal(signal.SIGKILL)
        app.wait()


@pytest.mark.parametrize(
    ("phones", "message"),
    [
        ([], "devicectl sees no iPhone"),
        ([listed(), listed(udid="2")], rf"choose one of ios:{UDID} \(iPhone 15\), ios:2"),
        ([listed(pairing="unpaired")], f"^ios:{UDID} does not trust this computer"),
        ([listed(mode="disabled")], "lacks developer mode"),
        ([listed(tunnel="unavailable")], "is not connected: plug it in"),
    ],
)
def test_phone_that_cannot_be_used(tools: Tools, phones: list[dict[str, object]], message: str) -> None:
    tools.add("xcrun")
    tools.list(*phones)
    with pytest.raises(UserError, match=message):
        open_device("ios")


def test_what_is_missing_is_told(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no tool for iPhones is installed: on macOS install Xcode"):
        open_device("ios")
    tools.add("xcrun")
    with pytest.raises(UserError, match="nothing here forwards a port to an iPhone: install iproxy"):
        open_device("ios")
    tools.add("iproxy")
    (tools.state / "no_app").touch()
    with pytest.raises(UserError, match="devicectl device process launch failed: The application is not installed"):
        open_device("ios")
    (tools.state / "no_app").unlink()
    (tools.state / "mute").touch()
    monkeypatch.setattr(starting, "ANSWER_SECONDS", 0.5)
    with pytest.raises(UserError, match=f"app on ios:{UDID} does not answer; its log ends with: no room for it"):
        open_device("ios")
    with pytest.raises(UserError, match="are for Android phones"):
        open_device("ios", phone=PhoneOptions(cpus="0"))
