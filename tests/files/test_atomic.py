import os
from pathlib import Path

import pytest

from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file, atomic_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == ["a.txt"]


def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_appears_at_the_end_and_replaces_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with atomic_folder(path) as temporary:
        (temporary / "x").write_text("1")
    with pytest.raises(UserError, match="exists already"), atomic_folder(path):
        pass

    def write_half() -> None:
        with atomic_folder(path, overwrite=True) as temporary:
            (temporary / "x").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert (path / "x").read_text() == "1"
    with atomic_folder(path, overwrite=True) as temporary:
        (temporary / "y").write_text("2")
    assert names(path) == ["y"]
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("renames", [1, 2])
def test_a_signal_between_two_renames_leaves_one_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    path = tmp_path / "a"
    with atomic_folder(path) as temporary:
        (temporary / "x").write_text("1")
    real, done = os.replace, []

    def replace(source: Path, target: Path) -> None:
        real(source, target)
        done.append(target)
        if len(done) == renames:
            raise KeyboardInterrupt

    def write() -> None:
        with atomic_folder(path, overwrite=True) as temporary:
            (temporary / "x").write_text("2")
            monkeypatch.setattr(os, "replace", replace)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert (path / "x").read_text() == str(renames)
    assert names(tmp_path) == ["a"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for writer in (atomic_file, atomic_folder):
        with (
            pytest.raises(UserError, match=r"cannot write .*: (not a directory|file exists)"),
            writer(tmp_path / "file" / "x"),
        ):
            pass
    with pytest.raises(UserError, match="it is a folder"), atomic_file(tmp_path):
        pass
