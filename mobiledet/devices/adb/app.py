"""The Android app: checks and installs it, starts its evaluation activity, and reads its log."""

import re
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

from mobiledet.devices.adb.client import COPY_SECONDS, Phone
from mobiledet.errors import UserError

PACKAGE = "dev.mobiledet.app"
ACTIVITY = f"{PACKAGE}/.EvalActivity"
LOG_TAG = "mobiledet"
# below Linux's ephemeral ports, so that a free one stays free
PORTS = range(20_000, 30_000)
START_SECONDS = 60.0


@dataclass(frozen=True)
class RunningApp:
    """The running app.

    Attributes:
        port: its port on the phone.
        token: token that it was started with.
        started: start time by the phone's clock, in the format of logcat.
    """

    port: int
    token: str
    started: str


def is_installed(phone: Phone) -> bool:
    """Whether the app is installed."""
    return "package:" in phone.shell("pm", "path", PACKAGE).output


def install(phone: Phone, apk: Path) -> None:
    """Install the app; an installed one is replaced, and its data are kept.

    Raises:
        UserError: the file is not an app for this phone, or the storage is full.
    """
    if not apk.is_file():
        raise UserError(f"--app {apk}: there is no such file")
    # copied first and installed then, which all Android versions support
    answer = phone.run("install", "--no-streaming", "-r", "-t", "-g", str(apk), seconds=COPY_SECONDS)
    if answer.status or "Success" not in answer.output:
        reason = next((line for line in answer.lines if "INSTALL_" in line or "Failure" in line), answer.last_line)
        hint = "INSTALL_FAILED_UPDATE_INCOMPATIBLE" in reason or "INSTALL_FAILED_VERSION_DOWNGRADE" in reason
        remedy = f"; remove the other one first: adb -s {phone.serial} uninstall {PACKAGE}" if hint else ""
        raise UserError(f"{phone.name} does not install {apk}: {reason.strip()}{remedy}")
    if not is_installed(phone):
        raise UserError(f"{apk} is not the app {PACKAGE}; apps/android/README.md says how to build it")


def start(phone: Phone, cpu_mask: str) -> RunningApp:
    """Start the evaluation activity in a fresh process, with a fresh token.

    Args:
        phone: a phone with the app.
        cpu_mask: cores to run on, hexadecimal; empty if the system chooses.

    Raises:
        UserError: the app does not start.
    """
    clock = phone.shell("date", "+%m-%d %H:%M:%S.000").output.strip()
    app = RunningApp(secrets.choice(PORTS), secrets.token_hex(16), clock)
    command = ["am", "start", "-W", "-S", "-n", ACTIVITY, "--es", "token", app.token, "--ei", "port", str(app.port)]
    if cpu_mask:
        command += ["--es", "cpus", cpu_mask]
    # as a script, because the command contains the token
    answer = phone.script(f"{shlex.join(command)} </dev/null 2>&1", seconds=START_SECONDS)
    if "Status: ok" not in answer.output:
        problems = [line.strip() for line in answer.lines if "Error" in line or line.startswith("Status:")]
        reason = (problems or [answer.last_line])[-1].replace(app.token, "TOKEN")
        raise UserError(
            f"the evaluation activity {ACTIVITY} did not start on {phone.name}: {reason}; "
            "install the app of this release with --app"
        )
    return app


def process_id(phone: Phone) -> str:
    """Process id of the app; empty if it is not running."""
    return phone.shell("pidof", PACKAGE).output.strip()


def last_words(phone: Phone, app: RunningApp) -> str:
    """The last line of the app's log, or the exception that ended it; empty if there is neither."""
    answer = phone.shell("logcat", "-d", "-v", "brief", "-T", app.started, "-s", f"{LOG_TAG}:E", "AndroidRuntime:E")
    own = [line.partition(": ")[2].strip() for line in answer.lines if line.startswith(f"E/{LOG_TAG}")]
    crash = [line.partition(": ")[2].strip() for line in answer.lines if line.startswith("E/AndroidRuntime")]
    exceptions = [line for line in crash if re.match(r"[\w.$]+(Exception|Error)\b", line)]
    return (own[-1:] or exceptions[:1] or [""])[0]


def is_foreground(phone: Phone) -> bool | None:
    """Whether its activity is in the foreground; None if the system does not report it."""
    lines = [line for line in phone.shell("dumpsys", "activity", "activities").lines if "ResumedActivity" in line]
    return any(ACTIVITY in line or f"{PACKAGE}/{PACKAGE}.EvalActivity" in line for line in lines) if lines else None


def cpu_masks(phone: Phone, pid: str) -> set[str]:
    """The cores that the threads of a process may run on, as hexadecimal masks without leading zeros."""
    answer = phone.script(f"grep -h Cpus_allowed: /proc/{shlex.quote(pid)}/task/*/status")
    masks = [line.split()[-1].replace(",", "") for line in answer.lines if line.startswith("Cpus_allowed:")]
    return {mask.lstrip("0").lower() for mask in masks}
