"""Temporary files and folders whose names contain the process that they belong to.

They are called ``.NAME.HOST-PID-RANDOM.tmp`` beside a file that is being written, and
``mobiledet-KIND-HOST-PID-RANDOM`` in the system's temporary folder. Those of a killed process are removed by the next
process that uses the same folder.
"""

import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOREIGN_SECONDS = 2 * 86_400.0  # files of another machine count as abandoned after so long without a change
_OWNED = re.compile(r"(?:\..+\.|mobiledet-[a-z]+-)([0-9a-f]{6})-(\d{1,10})-[0-9a-f]{8}(?:\.tmp|\.work)?")
_swept: set[str] = set()


def owned_name(name: str, suffix: str = ".tmp") -> str:
    """A name for a temporary file or folder that will be renamed to ``name`` in the same folder."""
    return f".{name}.{_owner()}{suffix}"


@contextmanager
def scratch_folder(kind: str) -> Iterator[Path]:
    """A context with a new folder in the system's temporary folder, which is removed at the end."""
    folder = make_scratch_folder(kind)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_scratch_folder(kind: str) -> Path:
    """A new folder in the system's temporary folder, which the caller must remove.

    Args:
        kind: part of the folder's name; a word in lower case letters.
    """
    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent)
    folder = parent / f"mobiledet-{kind}-{_owner()}"
    folder.mkdir(mode=0o700)
    return folder


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of processes that have ended from a folder, once per folder and process."""
    key = os.path.abspath(folder)
    if key in _swept:
        return
    _swept.add(key)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _OWNED.fullmatch(entry.name)
            if match and _is_abandoned(match[1], int(match[2]), entry):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        os.unlink(entry.path)


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _is_abandoned(host: str, pid: int, entry: "os.DirEntry[str]") -> bool:
    status = entry.stat(follow_symlinks=False)
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return False
    if host == _host():
        return not is_alive(pid)
    return time.time() - status.st_mtime > FOREIGN_SECONDS


def _owner() -> str:
    return f"{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _host() -> str:
    """An id of this machine and of its process id namespace, because each container has its own process ids."""
    try:
        numbering = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbering = ""
    return hashlib.sha256(f"{socket.gethostname()} {numbering}".encode()).hexdigest()[:6]
