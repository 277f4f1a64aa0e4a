import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mobiledet.errors import UserError
from mobiledet.files.locks import LOCK, locked_folder, locked_target

HOLD = """
import sys, time
from pathlib import Path
from mobiledet.files.locks import locked_folder
with locked_folder(Path(sys.argv[1]), "training"):
    print("held", flush=True)
    time.sleep(60)
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_process_is_told_who_is_first_and_takes_over_when_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = _holder(folder)
    try:
        told = pytest.raises(UserError, match=rf"run is in use: process {first.pid} on .* is training there since")
        with told, locked_folder(folder, "training"):
            pytest.fail("two hold it")
    finally:
        first.kill()
        first.wait()
    assert (folder / LOCK).exists()
    with locked_folder(folder, "training"):
        pass
    assert list(folder.iterdir()) == []


def test_a_thread_may_hold_it_twice_and_another_one_may_not(tmp_path: Path) -> None:
    refused: list[str] = []

    def other() -> None:
        try:
            with locked_target(tmp_path / "x", "writing"):
                pass
        except UserError as error:
            refused.append(str(error))

    with locked_target(tmp_path / "x", "writing"), locked_target(tmp_path / "x", "writing"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "in another thread" in refused[0]
    with locked_target(tmp_path / "x", "writing"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_process_that_was_forked_does_not_hold_it(tmp_path: Path) -> None:
    with locked_folder(tmp_path, "training"):
        child = os.fork()
        if not child:
            time.sleep(20)
            os._exit(0)
    try:
        second = _holder(tmp_path)  # although the child still has the file open
        second.kill()
        second.wait()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b'{"pid": 1}', b"\xff" * 5000])
def test_a_lock_whose_file_says_nothing(content: bytes, tmp_path: Path) -> None:
    first = _holder(tmp_path)
    try:
        (tmp_path / LOCK).write_bytes(content)
        told = pytest.raises(UserError, match="is in use: another process is at work there")
        with told, locked_folder(tmp_path, "training"):
            pass
    finally:
        first.kill()
        first.wait()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(UserError, match=r"cannot lock .*: no locks available; its file system may have no locks"):
        locked_folder(tmp_path / "run", "training").__enter__()
