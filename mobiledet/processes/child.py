"""Runs a module as a program that ends when its parent process ends, for whatever reason.

python -m mobiledet.processes.child SIGNAL PARENT MODULE ARGUMENT...
"""

import ctypes
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

POLL_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


def child_command(
    module: str, *arguments: str, at_death: signal.Signals = signal.SIGKILL, python: Sequence[str] = ()
) -> list[str]:
    """The command line that runs a module in a child process, which receives a signal when this process ends.

    Args:
        module, arguments: the module and its arguments.
        at_death: the signal.
        python: the interpreter and its options; by default the interpreter of this process.
    """
    own = ["-m", "mobiledet.processes.child", str(int(at_death)), str(os.getpid())]
    return [*(python or (sys.executable,)), *own, module, *arguments]


def die_with_parent(parent: int, signum: int) -> None:
    """Send this process a signal when its parent ends, or now if it has ended already.

    On Linux the kernel does so; elsewhere a thread checks the parent every second.
    """
    is_set = False
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            is_set = ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0) == 0
    if not is_set:
        threading.Thread(target=_watch, args=(parent, signum), daemon=True).start()
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def _watch(parent: int, signum: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signum)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[2]), int(sys.argv[1]))
    del sys.argv[:3]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
