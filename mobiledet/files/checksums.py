"""``SHA256SUMS``: the checksums of all files in a folder, in the format of coreutils (``sha256sum -c SHA256SUMS``)."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from mobiledet.errors import UserError

SUMS = "SHA256SUMS"
# a path contains no control characters, such as Windows line ends
_LINE = re.compile(r"([0-9a-f]{64})  ([^\0-\x1f\x7f]+)")


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS``: one line for each other file in the folder, sorted by path."""
    lines = [f"{_sha256(folder / name)}  {name}\n" for name in sorted(_files(folder))]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8", newline="\n")


def verified_checksums(folder: Path, source: Path) -> dict[str, str]:
    """Read ``SHA256SUMS`` and verify every file in the folder.

    Args:
        folder: folder of the files.
        source: the path that the user gave, for error messages.

    Returns:
        checksum of each file by its path, in the order of the list.

    Raises:
        UserError: the list is missing or malformed or names a path outside the folder, or a file is missing, changed
            or not listed.
    """
    if not (folder / SUMS).is_file():
        raise UserError(f"{source}: {SUMS} is missing, as in bundles of an older mobiledet; export or copy it again")
    checksums = parse_checksums((folder / SUMS).read_bytes(), source)
    for name, sha256 in checksums.items():
        path = inside(folder, name, source)
        if not path.is_file():
            raise UserError(f"{source}: {name} is missing; copy or export the bundle again")
        if _sha256(path) != sha256:
            raise UserError(f"{source}: {name} has changed (checksum differs); copy or export the bundle again")
    for name in sorted(_files(folder)):
        if name not in checksums:
            raise UserError(f"{source} holds {name}, which {SUMS} does not list; remove it or copy the bundle again")
    return checksums


def checksum_of(name: str, checksums: Mapping[str, str]) -> str:
    """The checksum of a file, or of the lines of a folder's files; empty if none is listed."""
    if name in checksums:
        return checksums[name]
    lines = [f"{sha256}  {path}\n" for path, sha256 in sorted(checksums.items()) if path.startswith(f"{name}/")]
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""


def inside(folder: Path, name: str, source: Path) -> Path:
    """``folder / name``, which must be inside ``folder``.

    Raises:
        UserError: it is outside, possibly through a link.
    """
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name or "\0" in name:
        raise UserError(f"{source}: file name {name!r} points outside the bundle; do not use this bundle")
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{source}: {name} is a link to outside the bundle; do not use this bundle")
    return folder / name


def parse_checksums(content: bytes, source: Path) -> dict[str, str]:
    """Checksum of each path in the text of a ``SHA256SUMS``; see ``verified_checksums``."""
    checksums: dict[str, str] = {}
    try:
        *lines, rest = content.decode().split("\n")
    except ValueError as error:
        raise UserError(f"{source}: {SUMS} is not UTF-8; copy the bundle again") from error
    for number, line in enumerate([*lines, *([rest] if rest else [])], start=1):
        found = _LINE.fullmatch(line)
        if not found or number > len(lines):
            raise UserError(f"{source}: line {number} of {SUMS} is not a checksum and a path; copy the bundle again")
        if found[2] in checksums or found[2] == SUMS:
            raise UserError(f"{source}: {SUMS} lists {found[2]} twice, or itself; export the bundle again")
        checksums[found[2]] = found[1]
    return checksums


def _files(folder: Path) -> Iterator[str]:
    """All files but ``SHA256SUMS``; a link to a folder counts as a file, because links are not followed."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name != SUMS:
            yield name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
