import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mobiledet.files import leftovers
from mobiledet.files.atomic import atomic_file
from mobiledet.files.leftovers import FOREIGN_SECONDS, make_scratch_folder, owned_name, remove_abandoned, scratch_folder

DIE = """
import os, sys
from pathlib import Path
from mobiledet.files.atomic import atomic_folder
from mobiledet.files.leftovers import make_scratch_folder, owned_name
folder = Path(sys.argv[1])
(make_scratch_folder("bundle") / "file").touch()
(folder / owned_name("x", ".work")).mkdir()
with atomic_folder(folder / "y") as temporary:
    (temporary / "file").touch()
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def _looks_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(leftovers, "_swept", set())
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    assert subprocess.run([sys.executable, "-c", DIE, str(folder)]).returncode == -9
    assert len(list(folder.iterdir())) == 2
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    with atomic_file(folder / "z") as temporary:
        temporary.touch()
    assert [path.name for path in folder.iterdir()] == ["z"]
    with scratch_folder("upload") as scratch:
        assert list((tmp_path / "tmp").iterdir()) == [scratch]
    assert not list((tmp_path / "tmp").iterdir())


def test_what_a_living_process_owns_stays(tmp_path: Path) -> None:
    own = tmp_path / owned_name("x")
    own.touch()
    scratch = make_scratch_folder("bundle")
    remove_abandoned(tmp_path)
    remove_abandoned(tmp_path / "tmp")
    assert own.exists()
    assert scratch.is_dir()


def test_names_that_only_look_alike_stay(tmp_path: Path) -> None:
    names = [".x.tmp", ".x.12345678.tmp", "mobiledet-bundle-x", ".x.abcdef-1-12345678.tmp.txt", "notes"]
    for name in names:
        (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(names)


def test_what_another_machine_works_on_stays_until_it_is_old(tmp_path: Path) -> None:
    foreign = tmp_path / ".x.000000-1-12345678.tmp"
    foreign.touch()
    remove_abandoned(tmp_path)
    assert foreign.exists()
    old = time.time() - FOREIGN_SECONDS - 60
    os.utime(foreign, (old, old))
    leftovers._swept.clear()
    remove_abandoned(tmp_path)
    assert not foreign.exists()


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    name = owned_name("x").replace(str(os.getpid()), str(dead.pid))
    (tmp_path / name).symlink_to(kept)
    remove_abandoned(tmp_path)
    assert not (tmp_path / name).is_symlink()
    assert (kept / "file").exists()
