"""Check whether the native libraries of an APK, AAB or AAR can be loaded on phones with memory pages of 16 KB.

python apps/android/check/page_size.py FILE...

Google Play asks it of apps for Android 15 and later. For each 64-bit library two things are looked at: by how much its
loaded segments are aligned (ELF's p_align, as `readelf -l` shows it), and, where it lies in the archive uncompressed,
by how much its place there is. Libraries of 32 bits run on pages of 4 KB alone and are passed over. Exit status 1: one
cannot be loaded.
"""

import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

PAGE = 16 * 1024
ELF, WIDE, LITTLE = b"\x7fELF", 2, 1
LOADED = 1  # PT_LOAD
LOCAL_HEADER = 30  # bytes before the name of a file in a zip


def problems(path: Path) -> Iterator[str]:
    """A line for each 64-bit library that cannot be loaded.

    Raises:
        ValueError: the file is no archive, or holds what is no library.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    with archive, path.open("rb") as raw:
        for entry in archive.infolist():
            if not entry.filename.endswith(".so"):
                continue
            name, content = f"{path.name}: {entry.filename}", archive.read(entry)
            try:
                alignments = segment_alignments(content)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from error
            if alignments is None:
                continue
            if min(alignments, default=0) < PAGE:
                yield f"{name}: its segments are aligned to {min(alignments, default=0)} bytes"
            if entry.compress_type == zipfile.ZIP_STORED and path.suffix == ".apk":
                raw.seek(entry.header_offset + LOCAL_HEADER - 4)
                place = entry.header_offset + LOCAL_HEADER + sum(struct.unpack("<HH", raw.read(4)))
                if place % PAGE:
                    yield f"{name}: it lies at byte {place}, no multiple of {PAGE}; run zipalign -P 16"


def segment_alignments(library: bytes) -> list[int] | None:
    """Alignments of the loaded segments of a 64-bit library; None for a 32-bit one.

    Raises:
        ValueError: it is no library that Android loads.
    """
    if library[:4] != ELF or len(library) < 64:
        raise ValueError("is no ELF library")
    if library[4] != WIDE:
        return None
    if library[5] != LITTLE:
        raise ValueError("is big-endian")
    (table,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    try:
        headers = [struct.unpack_from("<IIQQQQQQ", library, table + size * place) for place in range(count)]
    except struct.error as error:
        raise ValueError("is cut off") from error
    return [header[7] for header in headers if header[0] == LOADED]


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    found = []
    for path in map(Path, paths):
        try:
            found += problems(path)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    print("\n".join(found) or "every 64-bit library can be loaded on pages of 16 KB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
