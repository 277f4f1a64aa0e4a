import dataclasses
import zipfile
from pathlib import Path

import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle, open_bundle
from mobiledet.errors import UserError
from mobiledet_converters.app_assets import PLATFORMS, folder_of_app, install


@pytest.fixture(scope="module")
def bundle(project_root: Path) -> Bundle:
    """A bundle with files of both platforms; they are no models, nothing here runs them."""
    return open_bundle(project_root / "apps" / "testdata" / "bundles" / "good")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Folders as those of both apps."""
    (tmp_path / "app" / "src" / "main").mkdir(parents=True)
    (tmp_path / "App").mkdir()
    return tmp_path


def test_the_apps_of_this_project_take_bundles(project_root: Path) -> None:
    for platform in PLATFORMS:
        assert folder_of_app(platform, project_root / "apps" / platform)


def test_android_gets_one_zip_of_its_own_files(bundle: Bundle, project: Path) -> None:
    written = install(bundle, "android", project)
    assert written == project / "app" / "src" / "main" / "assets" / "bundles" / "tiny.mobiledet"
    copy = open_bundle(written)
    assert [file.path for file in copy.files] == ["model.float32.tflite"]
    assert copy.files[0] == bundle.files[0]
    assert (copy.spec, copy.recorded.cases) == (bundle.spec, bundle.recorded.cases)
    assert list(copy.recorded.files) == ["model.float32.tflite"]
    with zipfile.ZipFile(written) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert not any("mlpackage" in name for name in archive.namelist())


def test_ios_gets_a_folder_of_its_own_files(bundle: Bundle, project: Path) -> None:
    written = install(bundle, "ios", project)
    assert written == project / "App" / "Models" / "tiny.mobiledet"
    assert [file.format for file in open_bundle(written).files] == ["coreml"]


@pytest.mark.parametrize("platform", ["android", "ios"])
def test_a_newer_bundle_takes_the_place_of_an_older_one(bundle: Bundle, project: Path, platform: str) -> None:
    first = install(bundle, platform, project)
    content = first.read_bytes() if first.is_file() else open_bundle(first).sha256
    again = install(bundle, platform, project)
    assert again == first
    assert (again.read_bytes() if again.is_file() else open_bundle(again).sha256) == content  # the same for the same
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_a_module_of_another_project_will_do(bundle: Bundle, project: Path) -> None:
    assert install(bundle, "android", project / "app").parent == project / "app" / "src" / "main" / "assets" / "bundles"


def test_names_become_file_names(bundle: Bundle, project: Path) -> None:
    odd = dataclasses.replace(bundle, spec=dataclasses.replace(bundle.spec, name="torchvision:x/../y z"))
    assert install(odd, "android", project).name == "torchvision-x-..-y-z.mobiledet"


def test_what_cannot_go_there_is_told(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not an android project: it has no folder app/src/main or src/main"):
        install(bundle, "android", tmp_path)
    (tmp_path / "App").mkdir()
    tflite = dataclasses.replace(bundle, files=bundle.files[:1])
    with pytest.raises(UserError, match="contains no coreml or coreai file for ios; export it with --format coreml"):
        install(tflite, "ios", tmp_path)
    assert not (tmp_path / "App" / "Models").exists()


def test_the_command_takes_a_bundle_that_is_there(
    bundle: Bundle, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", str(bundle.path), "--app", "android", str(project)]) == 0
    assert "app: " in capsys.readouterr().out
    assert (project / "app/src/main/assets/bundles/tiny.mobiledet").is_file()


def test_the_command_refuses_a_wrong_project_before_all_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", str(tmp_path / "absent.ckpt"), "--app", "android", str(tmp_path)]) == 2
    assert "is not an android project" in capsys.readouterr().err
