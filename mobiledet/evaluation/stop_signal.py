"""Ctrl-C and SIGTERM as a request to come to an end, for work whose files shall be whole."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class StopSignal:
    """While it is entered, the first SIGINT or SIGTERM calls a function; the next one does what it always does.

    Outside the main thread, where Python delivers no signals, it does nothing.

    Attributes:
        number: of the signal that came; 0 before.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.number = 0
        self._stop = stop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()
        self._stop()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
