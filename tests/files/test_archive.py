import io
import stat
import zipfile
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

import pytest

from mobiledet.errors import UserError
from mobiledet.files import archive
from mobiledet.files.archive import unpack
from mobiledet.files.atomic import DiskFull

Usage = namedtuple("Usage", "total used free")


def _zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def _unpack(path: Path, tmp_path: Path, most_bytes: int = 1 << 20) -> Path:
    folder = tmp_path / "out"
    folder.mkdir(exist_ok=True)
    unpack(path, folder, most_bytes)
    return folder


def test_a_sound_file_is_unpacked(tmp_path: Path) -> None:
    folder = _unpack(_zip(tmp_path / "x.zip", {"a": b"1", "b/c": b"2"}, zipfile.ZIP_DEFLATED), tmp_path)
    assert (folder / "b" / "c").read_bytes() == b"2"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_no_zip_of_ours_has(method: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither stored nor deflated"):
        _unpack(_zip(tmp_path / "x.zip", {"a": b"1" * 1000}, method), tmp_path)


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "a\\b"])
def test_paths_that_lead_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="points outside the bundle"):
        _unpack(_zip(tmp_path / "x.zip", {name: b"1"}), tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name == "a"] == []


def test_links_and_names_that_stand_there_twice(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as file:
        file.writestr(link, "/etc/hostname")
    with pytest.raises(UserError, match="is a link"):
        _unpack(tmp_path / "link.zip", tmp_path)
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as file:
        file.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a", "2")
    with pytest.raises(UserError, match="holds 'a' twice"):
        _unpack(tmp_path / "twice.zip", tmp_path)


def test_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = _zip(tmp_path / "x.zip", {"a": bytes(2 << 20)}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 10_000
    with pytest.raises(UserError, match="unpacks to more than 1 MiB"):
        _unpack(bomb, tmp_path)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    with pytest.raises(UserError, match="holds 4 files, more than 3"):
        _unpack(_zip(tmp_path / "many.zip", {str(i): b"" for i in range(4)}), tmp_path)
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda folder: Usage(10, 10, 0))
    with pytest.raises(DiskFull, match=r"no space left in .* set TMPDIR"):
        _unpack(_zip(tmp_path / "one.zip", {"a": b"1"}), tmp_path)


def test_no_changed_byte_is_told_in_another_way_than_as_an_error_for_people(tmp_path: Path) -> None:
    sound = io.BytesIO()
    with zipfile.ZipFile(sound, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bundle.json", b"{}" * 20)
        file.writestr("golden/0.rgb", bytes(range(64)))
    content = sound.getvalue()
    for place in range(len(content)):
        for change in (0x01, 0x80, 0xFF):
            path = tmp_path / "x.zip"
            path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
            with suppress(UserError):
                _unpack(path, tmp_path)
