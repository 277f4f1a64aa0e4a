"""One process at a time: who comes second is told who is first."""

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
NAMED_SECONDS = 2.0  # in which whoever has taken a lock writes its name into it
_held: dict[str, int] = {}  # path of a lock -> the thread of this process that holds it
_guard = threading.Lock()


@contextmanager
def locked_folder(folder: Path, work: str) -> Iterator[None]:
    """Keep other processes from doing the same kind of work in a folder, which is made if it is missing.

    Args:
        folder: holds the lock, a file ``.lock``, which is gone afterwards.
        work: what is done there, for the message that others get.

    Raises:
        UserError: another process, or thread, is at it, and is named; or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {(error.strerror or str(error)).lower()}") from error
    with locked(folder / LOCK, folder, work):
        yield


@contextmanager
def locked_target(target: Path, work: str) -> Iterator[None]:
    """The same for a file or folder that is yet to be written; the lock lies beside it. The parent is made."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from error
    with locked(target.parent / f".{target.name}.lock", target, work):
        yield


@contextmanager
def locked(path: Path, what: Path, work: str) -> Iterator[None]:
    """Hold the lock in the file ``path``, in the same thread also again, for as long as the block lasts.

    The lock is the kernel's and of this process alone, so it ends with the process however that ends, and the
    processes that it has started do not hold it.
    """
    key, own = os.path.abspath(path), threading.get_ident()
    with _guard:
        if _held.get(key, own) != own:
            raise UserError(f"{what}: this process is {work} there already, in another thread")
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
                os.unlink(path)  # while it is held, so that nobody locks a file without a name
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
            if not holder and time.monotonic() < patience:
                time.sleep(NAMED_SECONDS / 100)
                continue
            holder = holder or "another process is at work there"
            raise UserError(f"{what} is in use: {holder}; wait for it, or choose another --out") from error
        if _is_named(descriptor, path):
            break
        os.close(descriptor)  # its holder removed it in this very moment
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
    """Who holds a lock, in words; empty as long as it has not told."""
    try:
        about = json.loads(os.pread(descriptor, 4096, 0))
        words = {name: " ".join(str(about[name]).split())[:200] for name in ("pid", "host", "work", "since", "command")}
    except (ValueError, LookupError, TypeError, OSError):
        return ""
    return "process {pid} on {host} is {work} there since {since} ({command})".format(**words)


def _command() -> str:
    """The command and its subcommand alone: options may hold a token."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
