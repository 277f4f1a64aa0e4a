import os
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import subprocess, sys, time
from mobiledet.processes.child import child_command
child = subprocess.Popen(child_command("http.server", "0"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(60)
"""


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    time.sleep(1)  # it may still be starting: it must find out then, too
    assert not _is_gone(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while not _is_gone(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _is_gone(child)


def test_a_child_gets_its_arguments_and_gives_its_status() -> None:
    from mobiledet.processes.child import child_command

    done = subprocess.run(child_command("platform", "--help"), capture_output=True, text=True)
    assert done.returncode == 0
    done = subprocess.run([*child_command("mobiledet.cli", "--version")], capture_output=True, text=True)
    assert done.stdout.startswith("mobiledet ")
    foreign = [str(os.getpid() + 1) if word == str(os.getpid()) else word for word in child_command("platform")]
    assert subprocess.run(foreign, capture_output=True).returncode == -9  # its parent has gone already
