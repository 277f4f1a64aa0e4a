"""Changes settings of a phone for a measurement, and restores them in any case.

A shell on the phone waits for the end of its input and then restores everything. Its input is a pipe from this process,
so it ends when the device is closed, when this process dies in any way, SIGKILL included, and when the cable is pulled.
"""

import shlex
import subprocess
import threading
from contextlib import suppress

from mobiledet.devices.adb.app import PACKAGE
from mobiledet.devices.adb.client import ANSWER_SECONDS, Phone
from mobiledet.errors import UserError

STAY_ON = "stay_on_while_plugged_in"
READY = b"watching"
RESTORE_SECONDS = 10.0


class PhonePreparation:
    """Prepares a phone, and restores its settings when closed.

    Args:
        phone: the phone; its screen stays on while it is plugged in.
        fixed_performance: whether to fix the clock rates, too.

    Raises:
        UserError: the phone does not support it; its settings are restored then.
    """

    def __init__(self, phone: Phone, fixed_performance: bool) -> None:
        self._phone = phone
        before = phone.shell("settings", "get", "global", STAY_ON).output.strip()
        commands = [["am", "force-stop", PACKAGE]]
        commands.append(
            ["settings", "put", "global", STAY_ON, before]
            if before.isdigit()
            else ["settings", "delete", "global", STAY_ON]
        )
        if fixed_performance:
            commands.append(["cmd", "power", "set-fixed-performance-mode-enabled", "false"])
        self._restore = "; ".join(map(shlex.join, commands))
        self._watcher = self._watch()
        try:
            self._change(fixed_performance)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Restore the settings if the phone can still be reached."""
        if self._watcher.poll() is None:
            assert self._watcher.stdin
            with suppress(OSError):
                self._watcher.stdin.close()
            try:
                self._watcher.wait(RESTORE_SECONDS)
            except subprocess.TimeoutExpired:  # before Android 7, a shell does not notice the end of its input
                self._watcher.kill()
                self._watcher.wait()
                with suppress(UserError):
                    self._phone.script(self._restore)

    def _watch(self) -> "subprocess.Popen[bytes]":
        # adbd sends SIGHUP when the connection breaks; writing to it would then end the shell, too
        script = f"trap '' HUP PIPE TERM INT; echo {READY.decode()}; exec >/dev/null 2>&1; cat; {self._restore}"
        # in its own session, so that Ctrl-C at the terminal does not end it first
        watcher = subprocess.Popen(
            self._phone.command("shell", script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert watcher.stdout
        too_late = threading.Timer(ANSWER_SECONDS, watcher.kill)
        too_late.start()
        ready = watcher.stdout.readline()
        too_late.cancel()
        if READY not in ready:
            watcher.kill()
            watcher.wait()
            raise UserError(f"{self._phone.name} {self._phone.problem() or 'does not start a shell; restart it'}")
        return watcher

    def _change(self, fixed_performance: bool) -> None:
        self._phone.shell("svc", "power", "stayon", "true")
        if fixed_performance:
            answer = self._phone.shell("cmd", "power", "set-fixed-performance-mode-enabled", "true")
            if answer.status or answer.output.strip() or answer.errors.strip():
                reason = answer.lines[0] if answer.lines else answer.last_line
                raise UserError(
                    f"{self._phone.name} has no fixed performance mode ({reason}); leave out --fixed-performance"
                )
