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
        folder: the run folder, to resume from.
        status: exit status: 128 plus the signal's number, as in shells.
    """

    def __init__(self, folder: Path, signum: int) -> None:
        super().__init__(folder, signum)
        self.folder = folder
        self.status = 128 + signum

    def __str__(self) -> str:
        return f"stopped; resume with: mobiledet train --resume {self.folder}"


class Interruption(StopSignal):
    """A ``StopSignal`` for a training process, which may have loader processes and may be one of several ranks.

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
            os._exit(128 + number)  # the launcher was killed; a resumed run may already be writing to the run folder
        if self._forward:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, number)
        super()._receive(number, frame)

    def _leave_loaders_alone(self) -> None:
        """Remove torch's SIGCHLD handler: it would raise an error in the middle of a step when a loader process, which
        receives the signal too, ends."""
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
