"""Ctrl-C and SIGTERM as a request to stop, which the training loop reads between steps."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

# a terminal, a launcher and a parent process may each pass on one and the same signal
SAME_SIGNAL_S = 0.5


class Interrupted(KeyboardInterrupt):
    """A run was stopped by a signal.

    Attributes:
        folder: of the run, to resume from.
        status: exit status, as shells count.
    """

    def __init__(self, folder: Path, signum: int) -> None:
        super().__init__(folder, signum)
        self.folder = folder
        self.status = 128 + signum

    def __str__(self) -> str:
        return f"stopped; go on with: mobiledet train --resume {self.folder}"


class Interruption:
    """While it is entered, the first SIGINT or SIGTERM is noted; a second one ends the process as it always does.

    Outside the main thread, where Python delivers no signals, it does nothing.

    Args:
        forward: pass the signals on to the processes that this one has started.

    Attributes:
        signum: of the signal that was received; 0 before.
    """

    def __init__(self, forward: bool = False) -> None:
        self.signum = 0
        self._forward = forward
        self._received = 0.0
        self._pid = os.getpid()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:  # as the shell has it for what runs in its background
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return  # a loader process, which inherited this handler and ends with the process it serves
        launcher = multiprocessing.parent_process()
        if launcher is not None and not launcher.is_alive():
            os._exit(128 + signum)  # it was killed, and a resumed run may be writing to the run folder already
        if self._forward:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signum)
        if not self.signum:
            self.signum, self._received = signum, time.monotonic()
            # torch would raise an error in the middle of a step when a loader process, which gets the signal too, ends
            self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        elif time.monotonic() - self._received > SAME_SIGNAL_S:
            signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
            signal.raise_signal(signum)
