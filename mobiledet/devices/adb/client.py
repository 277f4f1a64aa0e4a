"""The adb program: which devices it sees, and commands for one of them. Always with -s: there may be others."""

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
# the state that adb tells of a device -> what its owner can do
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
        serial: names it to adb.
        state: ``device`` when it can be used.
        model: as the device says; empty where it does not.
    """

    serial: str
    state: str
    model: str

    @property
    def problem(self) -> str:
        """Why it cannot be used and what to do; empty when it can be."""
        return "" if self.state == "device" else REMEDIES.get(self.state, f"is in the state {self.state!r}")


@dataclass(frozen=True)
class Answer:
    """What a command on the device gave: exit status (0 always where the device is older than Android 7) and texts."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """Of the output and then of the errors."""
        return [*self.output.splitlines(), *self.errors.splitlines()]

    @property
    def last_line(self) -> str:
        """Its last word, which mostly is why it failed."""
        spoken = [line.strip() for line in self.lines if line.strip()]
        return spoken[-1] if spoken else f"it ended with status {self.status}"


def find_adb() -> str:
    """Path of the program, from PATH or the Android SDK.

    Raises:
        UserError: there is none.
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
    """Every device that adb sees, in its order.

    Raises:
        UserError: adb does not work.
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


def choose_serial(adb: str, wanted: str) -> str:
    """The serial of the device to use.

    Args:
        adb: the program.
        wanted: a serial, HOST:PORT of a device in the network, which is connected to, or empty for ANDROID_SERIAL of
            the environment or the only device.

    Raises:
        UserError: it is not there or cannot be used, or there are several to choose from.
    """
    wanted = wanted or os.environ.get("ANDROID_SERIAL", "")
    listed = {device.serial: device for device in list_devices(adb)}
    if re.fullmatch(r"[^:]+:\d{1,5}|\[.+\]:\d{1,5}", wanted) and wanted not in listed:
        _run([adb, "connect", wanted], b"", ANSWER_SECONDS, f"adb:{wanted}")  # fails with status 0: look again
        listed = {device.serial: device for device in list_devices(adb)}
    if not wanted and len(listed) > 1:
        choices = ", ".join(f"adb:{d.serial}" + (f" ({d.model})" if d.model else "") for d in listed.values())
        raise UserError(f"several devices are connected: choose one of {choices}")
    if not listed:
        raise UserError("adb sees no device: plug one in and switch USB debugging on in its developer options")
    device = listed.get(wanted) if wanted else next(iter(listed.values()))
    if device is None:
        raise UserError(f"adb:{wanted} is not connected; adb sees {', '.join(f'adb:{serial}' for serial in listed)}")
    if device.problem:
        raise UserError(f"adb:{device.serial} {device.problem}")
    return device.serial


class Phone:
    """One device.

    Args:
        adb: path of the program.
        serial: of the device.
    """

    def __init__(self, adb: str, serial: str) -> None:
        self.adb = adb
        self.serial = serial
        self.name = f"adb:{serial}"

    def command(self, *arguments: str) -> list[str]:
        """The command line of adb for this device."""
        return [self.adb, "-s", self.serial, *arguments]

    def shell(self, *words: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Run a command on the device; each word arrives as it is, whatever is in it.

        Raises:
            UserError: the device cannot be reached any more or does not answer.
        """
        return self._ask(["shell", shlex.join(words)], b"", seconds)

    def script(self, text: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Run a shell script on the device. It is not seen on this machine's list of processes, so it may hold secrets.

        Raises:
            UserError: as ``shell``.
        """
        return self._ask(["shell", "sh"], f"{text}\nexit\n".encode(), seconds)

    def run(self, *arguments: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Run a command of adb itself.

        Raises:
            UserError: as ``shell``.
        """
        return self._ask(arguments, b"", seconds)

    def call(self, *arguments: str, seconds: float = ANSWER_SECONDS) -> str:
        """What a command of adb itself prints.

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
            UserError: it cannot be read, or there is no room for it.
        """
        if not source.is_file():
            raise UserError(f"there is no file {source} to copy to {self.name}")
        self.call("push", str(source), target, seconds=COPY_SECONDS)

    def problem(self) -> str:
        """Why the device cannot be used now, as a sentence without its subject; empty when it can be."""
        device = next((device for device in list_devices(self.adb) if device.serial == self.serial), None)
        return device.problem if device else "was disconnected: plug it in again"

    def _ask(self, arguments: Sequence[str], given: bytes, seconds: float) -> Answer:
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
    # the line "* daemon not running; starting now" is none of the command's
    errors = "\n".join(line for line in texts[1].splitlines() if not line.startswith("* "))
    return Answer(done.returncode, texts[0], errors)
