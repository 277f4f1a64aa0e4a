"""The Android app: is it there, install it, start its evaluation activity, and what its log says."""

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
# below the ports that Linux hands out by itself, so that a free one stays free
PORTS = range(20_000, 30_000)
START_SECONDS = 60.0


@dataclass(frozen=True)
class RunningApp:
    """The app as an agent.

    Attributes:
        port: on the phone.
        token: that it was started with.
        started: by the phone's clock, as logcat takes it.
    """

    port: int
    token: str
    started: str


def is_installed(phone: Phone) -> bool:
    """Whether the phone has the app."""
    return "package:" in phone.shell("pm", "path", PACKAGE).output


def install(phone: Phone, apk: Path) -> None:
    """Install the app in place of the one that is there, whose data stay.

    Raises:
        UserError: the file is no app for this phone, or there is no room.
    """
    if not apk.is_file():
        raise UserError(f"--app {apk}: there is no such file")
    # copied first and installed then, which phones of all ages can
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
        phone: has the app.
        cpu_mask: cores to run on, hexadecimal; empty where the system chooses.

    Raises:
        UserError: it does not start.
    """
    clock = phone.shell("date", "+%m-%d %H:%M:%S.000").output.strip()
    app = RunningApp(secrets.choice(PORTS), secrets.token_hex(16), clock)
    words = ["am", "start", "-W", "-S", "-n", ACTIVITY, "--es", "token", app.token, "--ei", "port", str(app.port)]
    if cpu_mask:
        words += ["--es", "cpus", cpu_mask]
    # as a script, since the words hold the token
    answer = phone.script(f"{shlex.join(words)} </dev/null 2>&1", seconds=START_SECONDS)
    if "Status: ok" not in answer.output:
        problems = [line.strip() for line in answer.lines if "Error" in line or line.startswith("Status:")]
        reason = (problems or [answer.last_line])[-1].replace(app.token, "TOKEN")
        raise UserError(
            f"the evaluation activity {ACTIVITY} did not start on {phone.name}: {reason}; "
            "install the app of this release with --app"
        )
    return app


def process_id(phone: Phone) -> str:
    """Of the app; empty when it does not run."""
    return phone.shell("pidof", PACKAGE).output.strip()


def last_words(phone: Phone, app: RunningApp) -> str:
    """What the app wrote to the log last, or the exception that ended it; empty when there is neither."""
    answer = phone.shell("logcat", "-d", "-v", "brief", "-T", app.started, "-s", f"{LOG_TAG}:E", "AndroidRuntime:E")
    own = [line.partition(": ")[2].strip() for line in answer.lines if line.startswith(f"E/{LOG_TAG}")]
    crash = [line.partition(": ")[2].strip() for line in answer.lines if line.startswith("E/AndroidRuntime")]
    exceptions = [line for line in crash if re.match(r"[\w.$]+(Exception|Error)\b", line)]
    return (own[-1:] or exceptions[:1] or [""])[0]


def is_foreground(phone: Phone) -> bool | None:
    """Whether its activity is the one that the user sees; None where the system does not tell."""
    lines = [line for line in phone.shell("dumpsys", "activity", "activities").lines if "ResumedActivity" in line]
    return any(ACTIVITY in line or f"{PACKAGE}/{PACKAGE}.EvalActivity" in line for line in lines) if lines else None


def cpu_masks(phone: Phone, pid: str) -> set[str]:
    """The cores that the threads of a process may run on, as hexadecimal masks without leading zeros."""
    answer = phone.script(f"grep -h Cpus_allowed: /proc/{shlex.quote(pid)}/task/*/status")
    masks = [line.split()[-1].replace(",", "") for line in answer.lines if line.startswith("Cpus_allowed:")]
    return {mask.lstrip("0").lower() for mask in masks}
