"""Commands in processes of their own, to be killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def start(arguments: list[str], scratch: Path) -> subprocess.Popen[str]:
    """``mobiledet ARGUMENTS``, whose temporary folder is ``scratch`` and whose words go nowhere."""
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mobiledet.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def finish(arguments: list[str], scratch: Path) -> str:
    """Run a command to its end, which must be a good one; returns its words."""
    process = start(arguments, scratch)
    words, _ = process.communicate(timeout=900)
    assert process.returncode == 0, words
    return words


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill -9; returns whether it was still running."""
    running = process.poll() is None
    process.kill()
    process.communicate()
    return running


def relatives(marker: str) -> list[int]:
    """Processes whose command line holds a text, such as a path of the test."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marker in words and state != "Z":
                found.append(int(folder.name))
    return found


def await_true(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Until something holds, which it must in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.02)
