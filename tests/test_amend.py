import dataclasses
import os
import shutil
import stat
import threading
import zipfile
from pathlib import Path

import pytest

from mobiledet.amend import amend_bundle
from mobiledet.bundle import Bundle, open_bundle
from mobiledet.errors import UserError
from mobiledet.files.checksums import SUMS
from mobiledet.files.locks import locked_target

FACT = {"dataset": "a", "images": 3}


@pytest.fixture(params=["folder", "zip", "zip with a top folder"])
def bundle(request: pytest.FixtureRequest, patch_bundle: Bundle, tmp_path: Path) -> Bundle:
    """A copy of a bundle in one of its forms."""
    if request.param == "folder":
        return open_bundle(Path(shutil.copytree(patch_bundle.root, tmp_path / "it" / "x.mobiledet")))
    path = tmp_path / "it" / "x.zip"
    path.parent.mkdir()
    top = Path("x.mobiledet") if "top" in request.param else Path()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"kept"
        for file in sorted(patch_bundle.root.rglob("*"), reverse=True):
            archive.write(file, top / file.relative_to(patch_bundle.root))
    path.chmod(0o640)
    return open_bundle(path)


def content(bundle: Bundle) -> dict[str, bytes]:
    return {str(p.relative_to(bundle.root)): p.read_bytes() for p in bundle.root.rglob("*") if p.is_file()}


def test_learns_a_fact_and_keeps_all_else(bundle: Bundle) -> None:
    before, sha256, mode = content(bundle), bundle.sha256, stat.S_IMODE(bundle.path.stat().st_mode)
    amended = amend_bundle(bundle.path, [(bundle.files[1], {"map": FACT})])
    assert amended.path == bundle.path
    assert [file.map for file in amended.files] == [None, FACT]
    assert [file.sha256 for file in amended.files] == [file.sha256 for file in bundle.files]
    assert amended.sha256 != sha256
    after = content(amended)
    assert {name for name in before if before[name] != after[name]} == {"bundle.json", SUMS}
    assert before.keys() == after.keys()
    assert stat.S_IMODE(bundle.path.stat().st_mode) == mode
    assert os.listdir(bundle.path.parent) == [bundle.path.name]

    again = amend_bundle(bundle.path, [(bundle.files[1], {"map": None})])
    assert content(again) == before


def test_a_zip_keeps_its_entries(bundle: Bundle) -> None:
    if bundle.path.is_dir():
        return

    def entries() -> list[tuple[object, ...]]:
        with zipfile.ZipFile(bundle.path) as archive:
            assert archive.comment == b"kept"
            return [(e.filename, e.date_time, e.external_attr, e.compress_type) for e in archive.infolist()]

    before = entries()
    amend_bundle(bundle.path, [(bundle.files[0], {"map": FACT})])
    assert entries() == before


def test_a_link_stays_one(bundle: Bundle, tmp_path: Path) -> None:
    link = tmp_path / "link.mobiledet"
    link.symlink_to(bundle.path)
    assert amend_bundle(link, [(bundle.files[0], {"map": FACT})]).files[0].map == FACT
    assert link.is_symlink()
    assert open_bundle(bundle.path).files[0].map == FACT


def test_a_fact_that_cannot_be_read_again_is_refused(bundle: Bundle) -> None:
    sha256 = bundle.sha256
    for fields, error in (
        ({"map": 5}, UserError),
        ({"map": {"a": float("nan")}}, ValueError),
        ({"bytes": 5}, ValueError),
    ):
        with pytest.raises(error):
            amend_bundle(bundle.path, [(bundle.files[0], fields)])
        assert open_bundle(bundle.path).sha256 == sha256
        assert os.listdir(bundle.path.parent) == [bundle.path.name]


def test_bad_bundles_are_refused_and_stay(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no bundle at"):
        amend_bundle(tmp_path / "absent", [(bundle.files[0], {"map": FACT})])
    with locked_target(bundle.path, "testing"):
        caught: list[Exception] = []

        def amend() -> None:
            try:
                amend_bundle(bundle.path, [(bundle.files[0], {"map": FACT})])
            except UserError as error:
                caught.append(error)

        thread = threading.Thread(target=amend)
        thread.start()
        thread.join()
    assert "in another thread" in str(caught[0])
    damaged = bundle.path / "labels.txt" if bundle.path.is_dir() else bundle.path
    damaged.write_bytes(damaged.read_bytes()[:-5])
    left = damaged.read_bytes()
    with pytest.raises(UserError) as refused:
        amend_bundle(bundle.path, [(bundle.files[0], {"map": FACT})])
    assert str(bundle.path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert damaged.read_bytes() == left


def test_a_file_that_is_another_by_now_is_refused(bundle: Bundle) -> None:
    stranger = dataclasses.replace(bundle.files[0], sha256="0" * 64)
    with pytest.raises(UserError, match=f"no {stranger.path} with the checksum 0000"):
        amend_bundle(bundle.path, [(stranger, {"map": FACT})])
    assert open_bundle(bundle.path).files == bundle.files


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(bundle: Bundle) -> None:
    bundle.path.parent.chmod(0o500)
    try:
        with pytest.raises(UserError, match="permission"):
            amend_bundle(bundle.path, [(bundle.files[0], {"map": FACT})])
    finally:
        bundle.path.parent.chmod(0o700)
    assert open_bundle(bundle.path).files == bundle.files
