"""Adds facts about model files to an existing bundle: only its listing and checksums change."""

import copy
import dataclasses
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mobiledet.bundle import LISTING, LISTING_BYTES, Bundle, ModelFile, open_bundle
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file, atomic_folder
from mobiledet.files.checksums import SUMS, write_checksums
from mobiledet.files.locks import locked_target
from mobiledet.spec import read_json

# fields that are measured after the export; the others identify the file
AMENDABLE = frozenset(field.name for field in dataclasses.fields(ModelFile) if field.default is None)


def amend_bundle(path: Path, changes: Sequence[tuple[ModelFile, Mapping[str, Any]]]) -> Bundle:
    """Write new facts about model files atomically into the listing of a bundle, a folder or a zip.

    The listing and the checksums change, and with them ``Bundle.sha256``; all other files stay the same.

    Args:
        path: the bundle.
        changes: for each model file of the opened bundle, the fields of ``AMENDABLE`` to set: JSON values or
            dataclasses; None removes a fact.

    Returns:
        the new bundle, opened and verified.

    Raises:
        UserError: the bundle is damaged, in use or cannot be written, or no longer holds one of the files.
        ValueError: a field is not one of ``AMENDABLE``.
    """
    odd = {name for _, fields in changes for name in fields} - AMENDABLE
    if odd:
        raise ValueError(f"{min(odd)} is not a field that can be changed in a bundle")
    target = Path(path).resolve()  # so that a link is kept
    if not target.exists():
        raise UserError(f"no bundle at {path}")
    with locked_target(target, "amending a bundle"):
        bundle = open_bundle(target)
        listing = _amended(bundle, path, changes)
        if target.is_dir():
            with atomic_folder(target, overwrite=True) as folder:
                shutil.copytree(target, folder, symlinks=True, dirs_exist_ok=True)
                _write_listing(folder, listing)
                open_bundle(folder)
        else:
            _write_listing(bundle.root, listing)  # the temporary folder that the zip was unpacked to
            with atomic_file(target) as temporary:
                _rezip(target, temporary, bundle.root)
                open_bundle(temporary)
        return open_bundle(Path(path))


def _amended(bundle: Bundle, path: Path, changes: Sequence[tuple[ModelFile, Mapping[str, Any]]]) -> dict[str, Any]:
    listing: dict[str, Any] = read_json(bundle.root / LISTING, LISTING_BYTES)
    sha256_of = {file.path: file.sha256 for file in bundle.files}
    entries = {entry["path"]: entry for entry in listing["files"]}
    for file, fields in changes:
        if sha256_of.get(file.path) != file.sha256:
            raise UserError(f"{path} holds no {file.path} with the checksum {file.sha256[:8]}...; open it again")
        entry = entries[file.path]
        for name, value in fields.items():
            entry[name] = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
    return listing


def _write_listing(folder: Path, listing: dict[str, Any]) -> None:
    (folder / LISTING).write_text(json.dumps(listing, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    write_checksums(folder)


def _rezip(path: Path, new_path: Path, root: Path) -> None:
    """Copy a zip with the same entries, order and attributes, but with listing and checksums from ``root``."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new_path, "w") as new:
        new.comment = old.comment
        top = "" if LISTING in old.namelist() else f"{root.name}/"
        for entry in old.infolist():
            copied = copy.copy(entry)
            copied.extra = b""  # sizes and times in platform formats, which may be wrong for the new entry
            if entry.filename in (f"{top}{LISTING}", f"{top}{SUMS}"):
                new.writestr(copied, (root / entry.filename.removeprefix(top)).read_bytes())
            elif entry.is_dir():
                new.writestr(copied, b"")
            else:
                with old.open(entry) as source, new.open(copied, "w") as sink:
                    shutil.copyfileobj(source, sink)
    shutil.copymode(path, new_path)
