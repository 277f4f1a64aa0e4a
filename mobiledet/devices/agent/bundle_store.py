"""The uploaded bundles of an agent: one zip file each, named by the bundle's checksum."""

import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from mobiledet.bundle import Bundle, open_bundle
from mobiledet.devices.agent.refusal import Refusal
from mobiledet.errors import UserError
from mobiledet.files.archive import DAMAGED
from mobiledet.files.atomic import DiskFull
from mobiledet.files.leftovers import owned_name, remove_abandoned


class BundleStore:
    """Bundles on disk. They are verified when they are added and each time they are opened.

    Args:
        folder: folder for the bundles; created if missing.
        limit_bytes: maximum size of the files of a bundle, unpacked.
        cache_bytes: maximum total size of all zip files; the least recently used ones are removed.
    """

    def __init__(self, folder: Path, limit_bytes: int, cache_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._cache_bytes = cache_bytes
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)

    def holds(self, sha256: str) -> bool:
        """Whether the bundle is stored."""
        return self._path(sha256).exists()

    def add(self, sha256: str, content: Iterable[bytes]) -> bool:
        """Store a zipped bundle, completely or not at all.

        Args:
            sha256: sha256 of its SHA256SUMS.
            content: blocks of the zip file.

        Returns:
            whether it is new.

        Raises:
            Refusal: the content is not a bundle, is dangerous, or has another checksum.
        """
        path = self._path(sha256)
        temporary = self._folder / owned_name("upload")
        try:
            with temporary.open("wb") as file:
                file.writelines(content)
            self._refuse_dangerous(temporary)
            found = _verified(temporary, path.name).sha256
            if found != sha256:
                raise _bad(f"the bundle's checksum is {found}, not {sha256}")
            new = not path.exists()
            os.replace(temporary, path)
            self._limit_size(path)
            return new
        finally:
            temporary.unlink(missing_ok=True)

    def open(self, sha256: str) -> Bundle:
        """Open the bundle with this checksum.

        Raises:
            Refusal: it is not stored, or was damaged on disk.
        """
        path = self._path(sha256)
        if not path.exists():
            raise Refusal(HTTPStatus.NOT_FOUND, "unknown_bundle", f"no bundle {sha256} is here; upload it first")
        with suppress(OSError):
            os.utime(path)  # marks it as used
        return _verified(path, path.name)

    def remove(self, sha256: str) -> None:
        """Remove a bundle; sessions that run it keep their files."""
        self._path(sha256).unlink(missing_ok=True)

    def _limit_size(self, newest: Path) -> None:
        """Remove the least recently used bundles until the rest fits; ``newest`` is kept."""
        kept = []
        for path in self._folder.glob("*.zip"):
            with suppress(OSError):  # another request has removed it
                status = path.stat()
                kept.append((path == newest, status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, _, size, _ in kept)
        for is_newest, _, size, path in sorted(kept):
            if total <= self._cache_bytes or is_newest:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _path(self, sha256: str) -> Path:
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", f"{sha256[:80]!r} is not a SHA-256 in lower-case hex")
        return self._folder / f"{sha256}.zip"

    def _refuse_dangerous(self, path: Path) -> None:
        """Refuse, before unpacking, a bundle that is too large or contains links; ``open_bundle`` checks the paths."""
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except DAMAGED as error:
            raise _bad(f"the body is not a zip file ({error})") from error
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > self._limit_bytes:
            raise _bad(f"the bundle unpacks to {unpacked} bytes, this agent takes {self._limit_bytes}")
        if unpacked > shutil.disk_usage(tempfile.gettempdir()).free:
            raise Refusal(HTTPStatus.INSUFFICIENT_STORAGE, "no_space", f"no room for {unpacked} bytes on the device")
        links = [entry.filename for entry in entries if stat.S_ISLNK(entry.external_attr >> 16)]
        if links:
            raise _bad(f"the bundle holds a symbolic link, {links[0]!r}")


def _verified(path: Path, name: str) -> Bundle:
    try:
        return open_bundle(path)
    except DiskFull as error:
        raise Refusal(HTTPStatus.INSUFFICIENT_STORAGE, "no_space", "no room to unpack the bundle") from error
    except UserError as error:
        raise _bad(str(error).replace(str(path), name)) from error


def _bad(message: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_bundle", message)
