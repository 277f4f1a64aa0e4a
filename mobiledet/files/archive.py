"""Unpacks untrusted zip files, after checking their entries."""

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mobiledet.errors import UserError
from mobiledet.files.atomic import DiskFull, is_full

MAX_ENTRIES = 10_000
# other methods are slow, or need libraries that are not everywhere
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# what zipfile raises for damaged files: a changed byte can look like an encrypted entry or an unknown method
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
)


def unpack(path: Path, folder: Path, most_bytes: int) -> None:
    """Extract a zip file.

    Args:
        path: the zip file.
        folder: existing folder to extract to.
        most_bytes: largest total size of the unpacked entries.

    Raises:
        DiskFull: there is not enough space in ``folder``.
        UserError: the file is not a zip file, is damaged or too large, or an entry would be outside ``folder``, is a
            link, or is repeated.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check(path, entries, most_bytes)
            if sum(entry.file_size for entry in entries) > shutil.disk_usage(folder).free:
                raise DiskFull(f"no space left in {folder} to unpack {path}; set TMPDIR to a folder on another disk")
            archive.extractall(folder)
    except DAMAGED as error:
        if isinstance(error, OSError) and is_full(error):
            raise DiskFull(f"no space left in {folder} to unpack {path}; set TMPDIR to another disk") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} is not a mobiledet bundle: neither a folder nor a readable zip ({reason})") from error


def _check(path: Path, entries: list[zipfile.ZipInfo], most_bytes: int) -> None:
    if len(entries) > MAX_ENTRIES:
        raise UserError(f"{path} holds {len(entries)} files, more than {MAX_ENTRIES}; do not use this bundle")
    if sum(entry.file_size for entry in entries) > most_bytes:
        raise UserError(f"{path} unpacks to more than {most_bytes >> 20} MiB; do not use this bundle")
    names = set()
    for entry in entries:
        name = entry.filename
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or "\\" in name:
            raise UserError(f"{path}: file name {name!r} points outside the bundle; do not use this bundle")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UserError(f"{path}: {name!r} is a link; do not use this bundle")
        if name.rstrip("/") in names:
            raise UserError(f"{path} holds {name!r} twice; do not use this bundle")
        if entry.compress_type not in METHODS:
            raise UserError(f"{path}: {name!r} is neither stored nor deflated; zip the folder again")
        names.add(name.rstrip("/"))
