"""Bundles that an agent must refuse, made of a sound one."""

import dataclasses
import io
import secrets
import stat
import zipfile
from pathlib import Path

from mobiledet.bundle import Bundle, ModelFile, write_bundle

LINK = 0o777 | stat.S_IFLNK
TEBIBYTE = 1 << 40


def fresh_copy(bundle: Bundle, file: ModelFile, folder: Path, wrong_golden: bool = False) -> Bundle:
    """A bundle that no agent has seen, with one model file of another.

    Args:
        bundle, file: what to copy.
        folder: for the copy.
        wrong_golden: expect every box half as large as it is.
    """
    name = f"{bundle.spec.name}-{secrets.token_hex(4)}"
    golden = bundle.recorded.of([file.path])
    if wrong_golden:
        recorded = golden.files[file.path]
        halved = tuple(dataclasses.replace(each, boxes=each.boxes / 2) for each in recorded.outputs)
        golden = dataclasses.replace(golden, files={file.path: dataclasses.replace(recorded, outputs=halved)})
    spec = dataclasses.replace(bundle.spec, name=name)
    return write_bundle(folder / f"{name}.mobiledet", spec, [(bundle.root / file.path, file)], golden)


def with_entry(archive: Path, name: str) -> bytes:
    """The zip with one more file."""
    buffer = io.BytesIO(archive.read_bytes())
    with zipfile.ZipFile(buffer, "a") as changed:
        changed.writestr(name, "more")
    return buffer.getvalue()


def with_link(archive: Path) -> bytes:
    """The zip with a symbolic link in it."""
    entry = zipfile.ZipInfo("link")
    entry.create_system = 3  # Unix: the mode stands in the upper half
    entry.external_attr = LINK << 16
    buffer = io.BytesIO(archive.read_bytes())
    with zipfile.ZipFile(buffer, "a") as changed:
        changed.writestr(entry, "/etc/hostname")
    return buffer.getvalue()


def with_huge_entry(archive: Path) -> bytes:
    """The zip with a file that says it unpacks to a tebibyte."""
    buffer = io.BytesIO(archive.read_bytes())
    with zipfile.ZipFile(buffer, "a") as changed:
        changed.writestr("huge", "not so huge")
        changed.getinfo("huge").file_size = TEBIBYTE
    return buffer.getvalue()
