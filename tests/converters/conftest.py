"""An export whose files were converted before: what comes after the conversion is tested in seconds."""

import shutil
from pathlib import Path

import pytest

from mobiledet.bundle import Bundle
from mobiledet_converters import export as export_module
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.job import ConversionAnswer, ConversionJob, ConvertedFile
from mobiledet_converters.selection import FLOAT_FILE


class ReadyMade:
    """Stands for a conversion: gives files that were converted before."""

    source: Bundle

    def __init__(self, format: str, job: ConversionJob) -> None:
        self.format, self.job, self.running, self.step = format, job, False, "done"

    def __enter__(self) -> "ReadyMade":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def answer(self) -> ConversionAnswer:
        files = [
            file
            for file in self.source.files
            if file.format == self.format
            and file.precision in self.job.precisions
            and (not file.face or file.face in self.job.faces)
        ]
        for file in files:
            copy = shutil.copytree if (self.source.root / file.path).is_dir() else shutil.copyfile
            copy(self.source.root / file.path, self.job.folder / file.path)
        if self.format == "tflite":  # what the layers of the others are held against
            shutil.copyfile(self.source.root / "model.float32.tflite", self.job.folder / FLOAT_FILE)
        converted = tuple(ConvertedFile(f.path, f.precision, {"max_rank": 4}, f.face) for f in files)
        return ConversionAnswer(converted, 1.0, 1)


@pytest.fixture
def ready_made(exported_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReadyMade, "source", exported_bundle, raising=False)
    monkeypatch.setattr(export_module, "Conversion", ReadyMade)


@pytest.fixture
def config(scene_checkpoint: Path, scene_folder: Path, tmp_path: Path) -> ExportConfig:
    calibration = str(scene_folder.parent)
    out = tmp_path / "out" / "x.mobiledet"
    return ExportConfig(
        scene_checkpoint, out, images=scene_folder, parity_images=4, calibration=calibration, judge=False
    )


@pytest.fixture
def scenes(scene_folder: Path, tmp_path: Path) -> Path:
    """The scenes under the names that the detector has for their classes."""
    folder = tmp_path / "scenes"
    (folder / "annotations").mkdir(parents=True)
    (folder / "val2017").symlink_to(scene_folder)
    listing = folder / "annotations" / "instances_val2017.json"
    own = (scene_folder.parent / "annotations" / listing.name).read_text()
    listing.write_text(own.replace('"star"', '"étoile"'))
    return folder
