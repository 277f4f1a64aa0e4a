"""Command-line programs that reach an iPhone: devicectl of Xcode on macOS, pymobiledevice3 or iproxy elsewhere.

pymobiledevice3 is under the GPL; it is a program of the user's that is run beside this one, never a part of it.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mobiledet.errors import UserError

BUNDLE_ID = "dev.mobiledet.app"
LOG = "Documents/mobiledet.log"
ANSWER_SECONDS = 60.0
COPY_SECONDS = 600.0
NO_TOOL = (
    "no tool for iPhones is installed: on macOS install Xcode, for its devicectl; elsewhere the command "
    "pymobiledevice3 (pipx install pymobiledevice3)"
)


@dataclass(frozen=True)
class ListedPhone:
    """An iPhone or iPad that a tool sees; ``problem`` is empty if it can be used."""

    udid: str
    model: str
    system: str
    problem: str


class Tool(Protocol):
    """A program that lists phones, installs the app, and possibly starts it."""

    name: str
    starts_apps: bool

    def devices(self) -> list[ListedPhone]:
        """List all phones that it sees."""

    def install(self, udid: str, app: Path) -> None:
        """Install an .app or .ipa."""

    def start(self, udid: str, environment: Mapping[str, str]) -> str:
        """Restart the app with environment variables; returns its process id on the phone."""

    def stop(self, udid: str, process: str) -> None:
        """Stop the app."""

    def log(self, udid: str) -> str:
        """The last line of the app's log; empty if it is not available."""


class Devicectl:
    """``xcrun devicectl`` of Xcode 15 and newer: answers in JSON, in a file."""

    name = "devicectl"
    starts_apps = True

    def __init__(self, xcrun: str) -> None:
        self._program = [xcrun, "devicectl"]

    def devices(self) -> list[ListedPhone]:
        return [_listed(device) for device in self._run_command(["list", "devices"])["devices"]]

    def install(self, udid: str, app: Path) -> None:
        self._run_command(["device", "install", "app", "--device", udid, str(app)], seconds=COPY_SECONDS)

    def start(self, udid: str, environment: Mapping[str, str]) -> str:
        # variables with this prefix are passed to the app, and do not appear in the list of processes
        given = {f"DEVICECTL_CHILD_{name}": value for name, value in environment.items()}
        launch = ["device", "process", "launch", "--device", udid, "--terminate-existing", BUNDLE_ID]
        return str(self._run_command(launch, given)["process"]["processIdentifier"])

    def stop(self, udid: str, process: str) -> None:
        self._run_command(["device", "process", "terminate", "--device", udid, "--pid", process])

    def log(self, udid: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "mobiledet.log"
            copy = ["device", "copy", "from", "--device", udid, "--domain-type", "appDataContainer"]
            copy += ["--domain-identifier", BUNDLE_ID, "--source", LOG, "--destination", str(target)]
            try:
                self._run_command(copy)
                return _last_line(target.read_text(encoding="utf-8", errors="replace"))
            except (UserError, OSError):
                return ""

    def _run_command(
        self, words: Sequence[str], given: Mapping[str, str] | None = None, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """Run a subcommand; returns the part ``result`` of its answer.

        Raises:
            UserError: the command fails.
        """
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder) / "answer.json"
            done = _run([*self._program, *words, "--json-output", str(answer)], given, seconds)
            try:
                values = json.loads(answer.read_text(encoding="utf-8"))
                if done.returncode == 0 and values["info"]["outcome"] == "success":
                    return values["result"]
                reason = values["error"]["userInfo"]["NSLocalizedDescription"]["string"]
            except (OSError, ValueError, KeyError, TypeError):
                reason = _last_line(done.stderr or done.stdout) or f"it ended with status {done.returncode}"
        raise UserError(f"devicectl {' '.join(words[:3])} failed: {reason}")


class Pymobiledevice3:
    """The program pymobiledevice3. It lists phones and installs the app, which the user opens by hand."""

    name = "pymobiledevice3"
    starts_apps = False

    def __init__(self, program: str) -> None:
        self._program = program

    def devices(self) -> list[ListedPhone]:
        done = _run([self._program, "usbmux", "list"])
        try:
            return [
                ListedPhone(
                    udid=str(device["Identifier"]),
                    model=str(device.get("ProductType", "")),
                    system=f"iOS {device.get('ProductVersion', '')}".strip(),
                    problem="",
                )
                for device in json.loads(done.stdout)
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = _last_line(done.stderr or done.stdout) or str(error)
            raise UserError(f"pymobiledevice3 cannot list phones: {reason}") from error

    def install(self, udid: str, app: Path) -> None:
        done = _run([self._program, "apps", "install", "--udid", udid, str(app)], seconds=COPY_SECONDS)
        if done.returncode:
            raise UserError(f"pymobiledevice3 does not install {app}: {_last_line(done.stderr or done.stdout)}")

    def start(self, udid: str, environment: Mapping[str, str]) -> str:
        raise UserError("pymobiledevice3 does not start the app; open it by hand")

    def stop(self, udid: str, process: str) -> None:
        """The app stays open, because the user opened it."""

    def log(self, udid: str) -> str:
        return ""


def find_tool() -> Tool:
    """Find the best tool on this machine.

    Raises:
        UserError: none is installed.
    """
    xcrun, pymobiledevice3 = shutil.which("xcrun"), shutil.which("pymobiledevice3")
    if xcrun:
        return Devicectl(xcrun)
    if pymobiledevice3:
        return Pymobiledevice3(pymobiledevice3)
    raise UserError(NO_TOOL)


def forward_command(udid: str, port: int, phone_port: int) -> list[str]:
    """The command that forwards a port of this machine to a port of the phone while it runs.

    Raises:
        UserError: no such program is installed.
    """
    iproxy, pymobiledevice3 = shutil.which("iproxy"), shutil.which("pymobiledevice3")
    if pymobiledevice3:
        return [pymobiledevice3, "usbmux", "forward", "--serial", udid, str(port), str(phone_port)]
    if iproxy:
        return [iproxy, "--udid", udid, f"{port}:{phone_port}"]
    raise UserError(
        "nothing here forwards a port to an iPhone: install iproxy (macOS: brew install libusbmuxd; Debian: apt-get "
        "install libusbmuxd-tools) or the command pymobiledevice3"
    )


def _listed(device: Any) -> ListedPhone:
    """A phone as devicectl describes it."""
    hardware, properties = device["hardwareProperties"], device["deviceProperties"]
    link = device["connectionProperties"]
    problem = ""
    if link.get("pairingState") != "paired":
        problem = "does not trust this computer: unlock it and confirm the dialog"
    elif properties.get("developerModeStatus") == "disabled":
        problem = "lacks developer mode: switch it on in Settings, Privacy & Security"
    elif link.get("tunnelState") == "unavailable":
        problem = "is not connected: plug it in and unlock it"
    system = f"{hardware.get('platform', 'iOS')} {properties.get('osVersionNumber', '')}".strip()
    model = str(hardware.get("marketingName") or hardware.get("productType") or "")
    return ListedPhone(str(hardware["udid"]), model, system, problem)


def _run(
    command: Sequence[str], given: Mapping[str, str] | None = None, seconds: float = ANSWER_SECONDS
) -> "subprocess.CompletedProcess[str]":
    """Run a command with additional environment variables.

    Raises:
        UserError: it cannot be run or does not end in time.
    """
    try:
        return subprocess.run(
            command,
            env={**os.environ, **(given or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{Path(command[0]).name} does not answer within {seconds:.0f} seconds") from error
    except OSError as error:
        raise UserError(f"cannot run {command[0]}: {error.strerror}") from error


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""
