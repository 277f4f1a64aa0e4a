"""Export by ``mobiledet.export``."""

from pathlib import Path

import pytest

import mobiledet
from mobiledet.cli import main
from mobiledet_converters.config import ExportConfig


def test_an_export(
    ready_made: None, config: ExportConfig, scene_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"images": str(scene_folder), "parity_images": 4, "measure": False, "judge": False}
    bundle = mobiledet.export(
        config.checkpoint,
        out=tmp_path / "x.mobiledet",
        formats=["tflite"],
        precisions=["float16"],
        quiet=True,
        **options,
    )
    assert [file.path for file in bundle.files] == ["model.float16.tflite"]
    assert capsys.readouterr().out == ""
    found = mobiledet.Detector.open(bundle).detect(sorted(scene_folder.iterdir())[:2], score=0.1)
    assert all(len(each) for each in found)
    result = mobiledet.evaluate(bundle, accuracy=False, min_runs=1, min_seconds=0, quiet=True)
    assert result.latency
    with pytest.raises(mobiledet.UserError, match="--format is empty"):
        mobiledet.export(config.checkpoint, formats=[])


@pytest.mark.parametrize(
    "words", [["--format", "tflite", "--precision", "int8"], ["--formats", "tflite", "--precisions", "int8"]]
)
def test_options_have_two_names(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "absent.ckpt"), *words]) == 2
    assert "no checkpoint at" in capsys.readouterr().err
