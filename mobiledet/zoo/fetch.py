"""Downloads published files: resumes interrupted downloads, checks them, and keeps them in the cache."""

import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from mobiledet import __version__
from mobiledet.errors import UserError
from mobiledet.files.cache import cache_folder

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 18
MAX_BYTES = 1 << 30
PARTIAL = 206
UNSATISFIABLE = 416

Progress = Callable[[int, int | None], None]  # downloaded bytes, and the total if it is known


def cached_file(name: str, file_name: str) -> Path:
    """The path of a published detector's file in the cache."""
    return cache_folder() / "zoo" / name.replace(":", "-") / file_name


def fetch(url: str, path: Path, sha256: str = "", on_progress: Progress = lambda done, total: None) -> Path:
    """Download a file, unless it is in the cache.

    Args:
        url: the address.
        path: path in the cache.
        sha256: required start of its SHA-256; empty if its source publishes none.
        on_progress: called with the number of downloaded bytes and the total.

    Raises:
        UserError: the download fails, or the file has another checksum. A partial download is kept to be resumed; a
            wrong one is removed; an existing file in the cache, which the user may have put there, is not removed.
    """
    if path.is_file():
        if wrong := _wrong_digest(path, sha256):
            raise UserError(
                f"{path} is not the file from {url}: {wrong}; remove it, or give it to `mobiledet import` with "
                "--weights FILE"
            )
        return path
    part = path.with_name(f"{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part, on_progress)
    except (OSError, http.client.HTTPException) as error:
        reason = str(getattr(error, "reason", None) or error or type(error).__name__)
        raise UserError(
            f"cannot download {url}: {' '.join(reason.split())}; without a network, copy that file to "
            f"{path}, or give it to `mobiledet import` with --weights FILE"
        ) from error
    if wrong := _wrong_digest(part, sha256):
        part.unlink()
        raise UserError(f"the file from {url} is wrong: {wrong}; it was removed, try again")
    part.replace(path)
    _version_file(part).unlink(missing_ok=True)
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wrong_digest(path: Path, sha256: str) -> str:
    """Description of a wrong SHA-256; empty if it starts as required."""
    found = digest(path)
    return "" if found.startswith(sha256) else f"its SHA-256 is {found[: len(sha256)]}..., published is {sha256}..."


def _download(url: str, part: Path, on_progress: Progress) -> None:
    """Download to ``part``, continuing after its existing content."""
    version = _version_file(part).read_text("ascii").strip() if _version_file(part).is_file() else ""
    # without the version of the file (ETag), a partial download cannot be resumed safely
    start = part.stat().st_size if version and part.is_file() else 0
    headers = {"User-Agent": f"mobiledet/{__version__}"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != UNSATISFIABLE or not start:
            raise
        part.unlink()  # longer than the file itself
        return _download(url, part, on_progress)
    with answer:
        if answer.headers.get_content_type() == "text/html":
            raise OSError("the server sent a page, not a file")
        if answer.status != PARTIAL:
            start = 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        if total is not None and total > MAX_BYTES:
            raise OSError(f"it has {total} bytes, more than a detector's weights")
        if total is not None and shutil.disk_usage(part.parent).free < total - start:
            raise OSError(f"it needs {total - start} bytes, and the disk of {part.parent} has fewer")
        version = answer.headers.get("ETag", "")
        _version_file(part).write_text("" if version.startswith("W/") else version, "ascii", "ignore")
        here = start
        with part.open("ab" if start else "wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
                here += len(chunk)
                if here > MAX_BYTES:
                    raise OSError("it is larger than a detector's weights")
                on_progress(here, total)
    if total is not None and here < total:
        raise OSError(f"the connection ended after {here} of {total} bytes; the same command continues from there")
    return None


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")
