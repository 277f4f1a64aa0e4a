"""Locks that let only one process at a time work on a folder or file; others get an error that names it."""

import errno
import fcntl
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mobiledet.errors import UserError

LOCK = ".lock"
IN_USE = (errno.EACCES, errno.EAGAIN)  # what fcntl(2) gives if another process holds the lock
NAMED_SECONDS = 2.0  # time in which the holder of a lock writes its description into it
_held: dict[str, int] = {}  # path of a lock -> the thread of this process that holds it
_guard = threading.Lock()


@contextmanager
def locked_folder(folder: Path, work: str) -> Iterator[None]:
    """Lock a folder, which is made if it is missing, against the same kind of work by other processes.

    Args:
        folder: the folder; it contains the lock, a file ``.lock``, during the block.
        work: what is done there, for the error message of others, such as "training".

    Raises:
        UserError: another process or thread holds the lock (the message names it), or the folder cannot be written or
            locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {(error.strerror or str(error)).lower()}") from error
    with locked(folder / LOCK, folder, work):
        yield


@contextmanager
def locked_target(target: Path, work: str) -> Iterator[None]:
    """Like ``locked_folder`` for a file or folder that is yet to be written: the lock file is beside it, in the parent
    folder, which is made if it is missing."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from error
    with locked(target.parent / f".{target.name}.lock", target, work):
        yield


@contextmanager
def locked(path: Path, what: Path, work: str) -> Iterator[None]:
    """Hold the lock in the file ``path`` during the block. The same thread may take it again.

    It is a kernel lock of this process, so it is released however the process ends, and child processes do not
    inherit it.

    Args:
        path: the lock file.
        what: the locked file or folder, for error messages.
        work: what is done there, for the error message of others.

    Raises:
        UserError: another process or thread holds the lock, or the file cannot be written.
    """
    key, own = os.path.abspath(path), threading.get_ident()
    with _guard:
        if _held.get(key, own) != own:
            raise UserError(f"{what}: this process is already {work} there, in another thread")
        is_outer = key not in _held
        _held[key] = own
    if not is_outer:
        yield
        return
    try:
        descriptor = _acquire(path, what, work)
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(path)  # before the release, so that nobody locks a file that is about to be deleted
            os.close(descriptor)
    finally:
        with _guard:
            del _held[key]


def _acquire(path: Path, what: Path, work: str) -> int:
    patience = time.monotonic() + NAMED_SECONDS
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UserError(f"cannot write {what}: {(error.strerror or str(error)).lower()}") from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            if error.errno not in IN_USE:
                raise UserError(
                    f"cannot lock {what}: {(error.strerror or str(error)).lower()}; its file system may have no locks, "
                    "choose a folder on another one"
                ) from error
            if not holder and time.monotonic() < patience:
                time.sleep(NAMED_SECONDS / 100)
                continue
            holder = holder or "another process is at work there"
            raise UserError(f"{what} is in use: {holder}; wait for it, or choose another --out") from error
        if _is_named(descriptor, path):
            break
        os.close(descriptor)  # its former holder has just deleted it
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    about = {"pid": os.getpid(), "host": socket.gethostname(), "work": work, "since": now, "command": _command()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(about).encode(), 0)
    return descriptor


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        named = os.stat(path)
    except OSError:
        return False
    own = os.fstat(descriptor)
    return (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino)


def _holder(descriptor: int) -> str:
    """A description of the process that holds a lock; empty if it has not written one yet."""
    try:
        about = json.loads(os.pread(descriptor, 4096, 0))
        words = {name: " ".join(str(about[name]).split())[:200] for name in ("pid", "host", "work", "since", "command")}
    except (ValueError, LookupError, TypeError, OSError):
        return ""
    return "process {pid} on {host} is {work} there since {since} ({command})".format(**words)


def _command() -> str:
    """The command and its subcommand, without options, which may contain a token."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
