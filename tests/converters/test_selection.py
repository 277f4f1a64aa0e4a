"""Which files stay together in a bundle; the choice by mAP is in the tests of the export."""

from pathlib import Path

import pytest
from rich.console import Console

from mobiledet.bundle import ModelFile
from mobiledet_converters.checks import CheckedFile
from mobiledet_converters.selection import common_images


def checked(precision: str, replayable: set[int]) -> CheckedFile:
    """Nothing of the file is looked at but which images it can replay."""
    entry = ModelFile(f"model.{precision}.tflite", "tflite", precision, 0, "")
    return CheckedFile(Path(entry.path), None, entry, replayable)  # type: ignore[arg-type]


def test_files_with_a_common_image_stay(capsys: pytest.CaptureFixture[str]) -> None:
    files = [checked("float32", {0, 1, 2}), checked("float16", {1, 2}), checked("int8", {2, 5})]
    assert common_images(files, Console()) == files
    assert capsys.readouterr().out == ""


def test_the_worst_of_integers_goes_first(capsys: pytest.CaptureFixture[str]) -> None:
    float32, int8, int16 = checked("float32", {0, 1}), checked("int8", {4}), checked("int16x8", {1, 4})
    assert common_images([float32, int8, int16], Console(width=300)) == [float32, int16]
    assert "model.int8.tflite is left out: no image on which it and the others agree" in capsys.readouterr().out


def test_floats_always_stay() -> None:
    files = [checked("float32", {0}), checked("float16", {1})]
    assert common_images(files, Console(quiet=True)) == files
