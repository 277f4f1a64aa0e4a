"""``mobiledet predict NAME``: a published detector's bundle out of the cache."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from torchvision.models.detection.ssd import SSD

from mobiledet import __version__, cli
from mobiledet.bundle import Bundle, open_bundle
from mobiledet.checkpoint import load_checkpoint
from mobiledet.training.config import TrainConfig
from mobiledet.training.finetune import with_start_checkpoint
from mobiledet.training.recipes import base_config
from mobiledet.zoo.catalogue import ZOO
from mobiledet.zoo.fetch import cached_file, digest
from mobiledet.zoo_bundle import find_bundle
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import with_checkpoint

NAME = "ssdlite320_mobilenet_v3_large"


@pytest.fixture
def photo(patch_data: Path) -> Path:
    return sorted((patch_data / "val2017").iterdir())[1]


def kept(cache: Path) -> Path:
    return cache / "zoo" / "bundles" / f"{NAME}-{__version__}.mobiledet"


def test_offline_without_a_cache(offline: Path, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", NAME, str(photo)]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith(f"error: cannot download {ZOO[NAME].url}: ")
    assert f"copy that file to {cached_file(NAME, ZOO[NAME].file_name)}, or" in error[-1]
    assert sum(line.startswith("error") for line in error) == 1
    assert not kept(offline).exists()


def test_kept_bundle_needs_no_network(offline: Path, patch_bundle: Bundle, photo: Path, tmp_path: Path) -> None:
    shutil.copytree(patch_bundle.root, kept(offline))
    assert find_bundle(Path(NAME)) == kept(offline)
    assert cli.main(["predict", NAME, str(photo), "--out", str(tmp_path / "drawn")]) == 0
    assert [drawn.name for drawn in (tmp_path / "drawn").iterdir()] == [photo.name]


def test_a_file_of_that_name_wins(
    offline: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir()
    assert cli.main(["predict", NAME, str(photo)]) == 2
    assert "is not a mobiledet bundle: bundle.json is missing" in capsys.readouterr().err


def test_other_words_are_paths(offline: Path) -> None:
    assert find_bundle(Path("x.mobiledet")) == Path("x.mobiledet")


@pytest.fixture
def published(offline: Path, ssdlite: SSD, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights in the cache, as if they had been downloaded."""
    file = cached_file(NAME, ZOO[NAME].file_name)
    file.parent.mkdir(parents=True)
    torch.save(ssdlite.state_dict(), file)
    monkeypatch.setitem(ZOO, NAME, dataclasses.replace(ZOO[NAME], sha256=digest(file)[:8]))


@pytest.mark.usefixtures("published")
def test_training_starts_from_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    config = base_config(recipe="", qat=False, resume=None, init=Path(NAME))
    assert (config.backbone, config.detector, config.image_size) == (ZOO[NAME].backbone, "ssdlite", "320")
    start = with_start_checkpoint(TrainConfig(init=Path(NAME))).init
    assert start is not None
    assert load_checkpoint(start).spec.origin is not None
    assert capsys.readouterr().err == f"{NAME} is imported once, into {start}\n"
    assert with_start_checkpoint(TrainConfig(pretrained=NAME)).pretrained == str(start)
    exported = with_checkpoint(ExportConfig(Path(NAME)))
    assert (exported.checkpoint, exported.out) == (start, Path(f"{NAME}.mobiledet"))
    assert with_checkpoint(ExportConfig(start)) == ExportConfig(start)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("published")
def test_from_weights_to_boxes(offline: Path, photo: Path, tmp_path: Path) -> None:
    assert cli.main(["predict", NAME, str(photo), "--out", str(tmp_path / "drawn")]) == 0
    bundle = open_bundle(kept(offline))
    assert bundle.spec.origin is not None
    assert bundle.spec.origin.published_map == 21.3
