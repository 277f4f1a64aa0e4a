"""Atomic writing of files and folders: they are written under a temporary name, then renamed."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobiledet.errors import UserError
from mobiledet.files.leftovers import owned_name, remove_abandoned


class DiskFull(UserError):
    """A write failed for lack of space."""


def file_name_of(text: str) -> str:
    """A name that is valid in every file system: only letters, digits, dots, hyphens and underscores are kept, other
    characters become hyphens."""
    return re.sub(r"[^\w.-]", "-", text)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends without an error.

    Missing parent folders are made. An existing file is replaced only at the end.

    Raises:
        UserError: the file cannot be written (permissions, full disk, a folder in its place).
    """
    temporary = _temporary_name(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise UserError(f"cannot write {path}: it is a folder; give the name of a file")
        remove_abandoned(path.parent)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; rename it to ``path`` when the block ends without an error.

    Args:
        path: the folder to make. Missing parents are made.
        overwrite: replace an existing folder; without it an existing path is an error.

    Raises:
        UserError: ``path`` exists and ``overwrite`` is false, or it cannot be written.
    """
    temporary = _temporary_name(path)
    with _writing(path):
        if path.exists() and not overwrite:
            raise _exists(path)
        temporary.mkdir(parents=True)
        remove_abandoned(path.parent)
        try:
            yield temporary
            if overwrite:
                _replace_folder(temporary, path)
            else:
                _place_folder(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def is_full(error: OSError) -> bool:
    """Whether a write failed because the disk or a quota is full, or the file exceeds the largest allowed size."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _temporary_name(path: Path) -> Path:
    return path.parent / owned_name(path.name)


def _exists(path: Path) -> UserError:
    return UserError(f"{path} exists already; choose another name or pass --overwrite")


def _place_folder(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``, which another process may have made since the last check."""
    try:
        if path.is_dir():
            raise _exists(path)  # os.rename would silently replace an empty folder
        os.rename(new, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _exists(path) from error
        raise


def _replace_folder(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``. The old content is removed only after the rename, and restored if that fails."""
    if not path.exists():
        os.replace(new, path)
        return
    old = _temporary_name(path)
    try:
        os.replace(path, old)
        os.replace(new, path)
    finally:  # also when a signal came between the two
        if not path.exists():
            os.replace(old, path)
        elif old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        kind = DiskFull if is_full(error) else UserError
        raise kind(f"cannot write {path}: {reason.lower()}; check the path, its permissions and the disk") from error
