"""Makes invalid bundles from a valid one, which an agent must refuse."""

import dataclasses
import hashlib
import io
import json
import secrets
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mobiledet.bundle import Bundle, ModelFile, write_bundle
from mobiledet.files.checksums import SUMS, write_checksums
from mobiledet.golden import GoldenInput

LINK = 0o777 | stat.S_IFLNK
TEBIBYTE = 1 << 40


def fresh_copy(
    bundle: Bundle, file: ModelFile, folder: Path, is_wrong: Callable[[GoldenInput], bool] = lambda case: False
) -> Bundle:
    """A bundle that no agent knows yet, with one model file of another bundle.

    Args:
        bundle, file: the bundle and model file to copy.
        folder: folder for the copy.
        is_wrong: selects golden cases in which the expected boxes are made half as large.
    """
    name = f"{bundle.spec.name}-{secrets.token_hex(4)}"
    golden = bundle.recorded.of([file.path])
    recorded = golden.files[file.path]
    outputs = tuple(
        dataclasses.replace(each, boxes=each.boxes / 2) if is_wrong(case) else each
        for case, each in zip(golden.cases, recorded.outputs, strict=True)
    )
    golden = dataclasses.replace(golden, files={file.path: dataclasses.replace(recorded, outputs=outputs)})
    spec = dataclasses.replace(bundle.spec, name=name)
    return write_bundle(folder / f"{name}.mobiledet", spec, [(bundle.root / file.path, file)], golden)


def with_golden(bundle: Bundle, folder: Path, change: Callable[[dict[str, Any]], object]) -> tuple[bytes, str]:
    """The bundle as a zip with another golden.json and matching checksums, and its checksum."""
    copy = folder / secrets.token_hex(4)
    shutil.copytree(bundle.root, copy)
    index = copy / "golden" / "golden.json"
    values = json.loads(index.read_bytes())
    change(values)
    index.write_text(json.dumps(values), encoding="utf-8")
    write_checksums(copy)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for path in copy.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(copy).as_posix())
    return buffer.getvalue(), hashlib.sha256((copy / SUMS).read_bytes()).hexdigest()


def with_entry(archive: Path, name: str) -> bytes:
    """The zip with an additional file."""
    buffer = io.BytesIO(archive.read_bytes())
    with zipfile.ZipFile(buffer, "a") as changed:
        changed.writestr(name, "more")
    return buffer.getvalue()


def with_link(archive: Path) -> bytes:
    """The zip with a symbolic link in it."""
    entry = zipfile.ZipInfo("link")
    entry.create_system = 3  # Unix: the mode is in the upper half
    entry.external_attr = LINK << 16
    buffer = io.BytesIO(archive.read_bytes())
    with zipfile.ZipFile(buffer, "a") as changed:
        changed.writestr(entry, "/etc/hostname")
    return buffer.getvalue()


def with_huge_entry(archive: Path) -> bytes:
    """The zip with a file that claims to unpack to a tebibyte."""
    buffer = io.BytesIO(archive.read_bytes())
    with zipfile.ZipFile(buffer, "a") as changed:
        changed.writestr("huge", "not so huge")
        changed.getinfo("huge").file_size = TEBIBYTE
    return buffer.getvalue()
