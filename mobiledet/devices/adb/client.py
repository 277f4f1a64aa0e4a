"""The adb program: lists devices and runs commands on one of them, always with -s, because there may be others."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobiledet.errors import UserError

ANSWER_SECONDS = 30.0
COPY_SECONDS = 600.0
# state that adb reports for a device -> what the user can do
REMEDIES = {
    "unauthorized": "has not allowed this computer to debug it: unlock it and confirm the dialog",
    "authorizing": "is asking its owner to allow debugging: unlock it and confirm the dialog",
    "offline": "is offline: plug its cable in again, or switch USB debugging off and on",
    "no permissions": "may not be opened by this user: install Debian's package android-sdk-platform-tools-common, or "
    "other udev rules for it, and plug it in again",
    "recovery": "is in recovery mode: start it up",
    "sideload": "is in recovery mode: start it up",
    "bootloader": "is in its boot loader: start it up",
}


@dataclass(frozen=True)
class ListedDevice:
    """A line of ``adb devices -l``.

    Attributes:
        serial: serial number.
        state: ``device`` if it can be used.
        model: model; empty if unknown.
    """

    serial: str
    state: str
    model: str

    @property
    def problem(self) -> str:
        """Why it cannot be used and what to do; empty if it can be."""
        return "" if self.state == "device" else REMEDIES.get(self.state, f"is in the state {self.state!r}")


@dataclass(frozen=True)
class Answer:
    """The result of a command on the device: exit status (always 0 before Android 7) and output."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """The lines of the output, followed by those of the errors."""
        return [*self.output.splitlines(), *self.errors.splitlines()]

    @property
    def last_line(self) -> str:
        """The last line, which usually says why the command failed."""
        printed = [line.strip() for line in self.lines if line.strip()]
        return printed[-1] if printed else f"it ended with status {self.status}"


def find_adb() -> str:
    """Find the program in PATH or the Android SDK.

    Raises:
        UserError: it is not installed.
    """
    roots = [os.environ[name] for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT") if os.environ.get(name)]
    for folder in (None, *(str(Path(root) / "platform-tools") for root in roots)):
        found = shutil.which("adb", path=folder)
        if found:
            return found
    raise UserError(
        "adb is not installed; install it (Debian: apt-get install adb; macOS: brew install android-platform-tools; "
        "or Google's platform-tools) or set ANDROID_HOME to the Android SDK"
    )


def list_devices(adb: str) -> list[ListedDevice]:
    """List all devices that adb sees.

    Raises:
        UserError: adb fails.
    """
    done = _run([adb, "devices", "-l"], b"", ANSWER_SECONDS, "adb")
    if done.status:
        raise UserError(f"adb cannot list devices: {done.last_line}")
    return [device for line in done.output.splitlines() if (device := _parse_device(line))]


def _parse_device(line: str) -> ListedDevice | None:
    match = re.fullmatch(r"(\S+)\s+(no permissions|\S+)(.*)", line.strip())
    if not match or line.startswith(("*", "List of devices")):
        return None
    model = re.search(r"\bmodel:(\S+)", match[3])
    return ListedDevice(match[1], match[2], model[1].replace("_", " ") if model else "")


def choose_serial(adb: str, requested: str) -> str:
    """The serial of the device to use.

    Args:
        adb: the program.
        requested: a serial number; HOST:PORT of a device in the network, to which adb connects; or empty for the
            environment variable ANDROID_SERIAL or the only device.

    Raises:
        UserError: the device is not connected or cannot be used, or there are several to choose from.
    """
    requested = requested or os.environ.get("ANDROID_SERIAL", "")
    listed = {device.serial: device for device in list_devices(adb)}
    if re.fullmatch(r"[^:]+:\d{1,5}|\[.+\]:\d{1,5}", requested) and requested not in listed:
        _run(
            [adb, "connect", requested], b"", ANSWER_SECONDS, f"adb:{requested}"
        )  # exits with 0 even if it fails: list again
        listed = {device.serial: device for device in list_devices(adb)}
    if not requested and len(listed) > 1:
        choices = ", ".join(f"adb:{d.serial}" + (f" ({d.model})" if d.model else "") for d in listed.values())
        raise UserError(f"several devices are connected: choose one of {choices}")
    if not listed:
        raise UserError("adb sees no device: connect one and enable USB debugging in its developer options")
    device = listed.get(requested) if requested else next(iter(listed.values()))
    if device is None:
        raise UserError(f"adb:{requested} is not connected; adb sees {', '.join(f'adb:{serial}' for serial in listed)}")
    if device.problem:
        raise UserError(f"adb:{device.serial} {device.problem}")
    return device.serial


class Phone:
    """One device.

    Args:
        adb: path of the program.
        serial: serial number of the device.
    """

    def __init__(self, adb: str, serial: str) -> None:
        self.adb = adb
        self.serial = serial
        self.name = f"adb:{serial}"

    def command(self, *arguments: str) -> list[str]:
        """The command line of adb for this device."""
        return [self.adb, "-s", self.serial, *arguments]

    def shell(self, *words: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Run a command on the device; the words are quoted.

        Raises:
            UserError: the device cannot be reached or does not answer.
        """
        return self._run(["shell", shlex.join(words)], b"", seconds)

    def script(self, text: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Run a shell script on the device; it may contain secrets, because it is not in this machine's process list.

        Raises:
            UserError: as ``shell``.
        """
        return self._run(["shell", "sh"], f"{text}\nexit\n".encode(), seconds)

    def run(self, *arguments: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Run a subcommand of adb.

        Raises:
            UserError: as ``shell``.
        """
        return self._run(arguments, b"", seconds)

    def call(self, *arguments: str, seconds: float = ANSWER_SECONDS) -> str:
        """Run a subcommand of adb and return its output.

        Raises:
            UserError: it fails.
        """
        done = self.run(*arguments, seconds=seconds)
        if done.status:
            raise UserError(f"{self.name}: adb {arguments[0]} failed: {done.last_line}")
        return done.output.strip()

    def push(self, source: Path, target: str) -> None:
        """Copy a file to the device; ``target`` is absolute.

        Raises:
            UserError: the file cannot be read, or the storage is full.
        """
        if not source.is_file():
            raise UserError(f"there is no file {source} to copy to {self.name}")
        self.call("push", str(source), target, seconds=COPY_SECONDS)

    def problem(self) -> str:
        """Why the device cannot be used now, as a sentence without subject; empty if it can be used."""
        device = next((device for device in list_devices(self.adb) if device.serial == self.serial), None)
        return device.problem if device else "was disconnected: plug it in again"

    def _run(self, arguments: Sequence[str], given: bytes, seconds: float) -> Answer:
        answer = _run(self.command(*arguments), given, seconds, self.name)
        if answer.status and answer.errors.lstrip().startswith(("adb: ", "error: ")):
            problem = self.problem()
            if problem:
                raise UserError(f"{self.name} {problem}")
        return answer


def _run(command: Sequence[str], given: bytes, seconds: float, name: str) -> Answer:
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{name} does not answer within {seconds:.0f} seconds; plug its cable in again") from error
    except OSError as error:
        raise UserError(f"cannot run {command[0]}: {error.strerror}") from error
    texts = [text.decode("utf-8", "replace").replace("\r\n", "\n") for text in (done.stdout, done.stderr)]
    # lines such as "* daemon not running; starting now" are not from the command
    errors = "\n".join(line for line in texts[1].splitlines() if not line.startswith("* "))
    return Answer(done.returncode, texts[0], errors)
