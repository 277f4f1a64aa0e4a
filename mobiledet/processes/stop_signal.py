"""Ctrl-C and SIGTERM as a request to stop, for work that must leave complete files."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

# terminal, launcher and parent process may each send the same signal; repetitions within this time are ignored
SAME_SIGNAL_S = 0.5


class StopSignal:
    """A context that records the first SIGINT or SIGTERM; a second one has its usual effect.

    A signal that is ignored stays ignored, as for background processes of a shell. Outside the main thread, where
    Python delivers no signals, the context does nothing.

    Args:
        stop: called at the first signal.

    Attributes:
        number: number of the signal that was received; 0 before.
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
