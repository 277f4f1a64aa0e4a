"""Ctrl-C and SIGTERM as a request to stop, which the training loop reads between steps."""

import multiprocessing
import os
import signal
from pathlib import Path
from types import FrameType

from mobiledet.processes.stop_signal import StopSignal


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


class Interruption(StopSignal):
    """A ``StopSignal`` for a process with loader processes, and for one of several ranks.

    Args:
        forward: pass the signals on to the processes that this one has started.
    """

    def __init__(self, forward: bool = False) -> None:
        super().__init__(self._leave_loaders_alone)
        self._forward = forward
        self._pid = os.getpid()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return  # a loader process, which inherited this handler and ends with the process it serves
        launcher = multiprocessing.parent_process()
        if launcher is not None and not launcher.is_alive():
            os._exit(128 + number)  # it was killed, and a resumed run may be writing to the run folder already
        if self._forward:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, number)
        super()._receive(number, frame)

    def _leave_loaders_alone(self) -> None:
        """torch would raise an error in the middle of a step when a loader process, which gets the signal too, ends."""
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
