"""Ctrl-C and SIGTERM as a request to come to an end, for work whose files shall be whole."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

# a terminal, a launcher and a parent process may each pass on one and the same signal
SAME_SIGNAL_S = 0.5


class StopSignal:
    """While it is entered, the first SIGINT or SIGTERM is noted; a second one does what it does without this.

    A signal that is ignored stays ignored, as a shell has it for what runs in its background. Outside the main thread,
    where Python delivers no signals, this does nothing.

    Args:
        stop: is called at the first signal.

    Attributes:
        number: of the signal that was received; 0 before.
    """

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        self.number = 0
        self._stop = stop
        self._received = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number, self._received = number, time.monotonic()
            self._stop()
        elif time.monotonic() - self._received > SAME_SIGNAL_S:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
