"""Which files ship: by what they find, and by their mAP."""

import dataclasses
from pathlib import Path

import pytest

from mobiledet.bundle import ModelFile
from mobiledet_converters.checks import CheckedFile
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.selection import select

CONFIG = ExportConfig(Path("best.ckpt"))


def checked(
    problem: str = "", is_doubtful: bool = False, drop: float | None = None, pytorch: float = 0.5
) -> CheckedFile:
    """Nothing of the file is looked at but what is known of it."""
    measured = {"AP": pytorch - drop, "pytorch": pytorch, "drop": drop} if drop is not None else None
    entry = ModelFile("model.int8.tflite", "tflite", "int8", 0, "", map=measured)
    return CheckedFile(Path(entry.path), None, entry, (), problem, is_doubtful)  # type: ignore[arg-type]


@pytest.mark.parametrize("drop", [None, -0.1, 0.0, 0.019])
def test_files_that_find_the_same_and_keep_their_map_ship(drop: float | None) -> None:
    file = checked(drop=drop)
    assert select([file], CONFIG) == ([file], [])


@pytest.mark.parametrize("drop", [-0.1, 0.0, 0.01])
def test_map_overrules_what_integers_change(drop: float) -> None:
    (kept,), left_out = select([checked("it misses 30.0%", is_doubtful=True, drop=drop)], CONFIG)
    assert left_out == []
    assert kept.entry.parity == {"overruled": "it misses 30.0%"}


def test_a_wrong_file_of_floats_takes_its_format_with_it() -> None:
    sound, other = checked(drop=0.0), checked(drop=0.0)
    entry = dataclasses.replace(sound.entry, path="model.float32.tflite", precision="float32")
    wrong = dataclasses.replace(sound, entry=entry, problem="class_logits is 20 dB above its error")
    other = dataclasses.replace(other, entry=dataclasses.replace(other.entry, format="coreml", precision="w8a8"))
    kept, left_out = select([wrong, sound, other], CONFIG)
    assert kept == [other]
    assert "it comes from the same conversion as model.float32.tflite, which is wrong" in str(left_out[1])
    assert [file.path for file in select([sound, wrong], CONFIG)[1]] == [wrong.entry.path, sound.entry.path]


def test_force_ships_doubtful_files_alone() -> None:
    forced = dataclasses.replace(CONFIG, force=True)
    assert len(select([checked("it misses 30.0%", is_doubtful=True)], forced)[0]) == 1
    assert select([checked("its scores are halved", drop=0.0)], forced)[0] == []
    assert len(select([checked(drop=0.3)], forced)[0]) == 1


def test_a_wrong_file_of_floats_is_no_matter_of_precision() -> None:
    entry = ModelFile("model.float32.tflite", "tflite", "float32", 0, "")
    wrong = CheckedFile(Path(entry.path), None, entry, (), "it misses 30.0%")  # type: ignore[arg-type]
    assert "the precision does not explain this: the file is wrong; please report it" in str(
        select([wrong], CONFIG)[1][0]
    )


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            checked("its scores are halved", drop=0.0),
            "its scores are halved; this network cannot be quantised as it is, or the",
        ),
        (checked("it misses 30.0%", is_doubtful=True), "it misses 30.0%; give --data with validation images"),
        (
            checked("it misses 30.0%", is_doubtful=True, drop=0.015),
            "it loses 0.0150 of 0.5000 mAP; `mobiledet train",
        ),
        (checked("it misses 99.0%", is_doubtful=True, drop=0.006, pytorch=0.008), "it loses 0.0060 of 0.0080 mAP"),
        (checked(drop=0.03), "mAP 0.4700 instead of 0.5000, 0.0300 less; allow more with --max-map-drop (now 0.02)"),
    ],
)
def test_others_are_left_out_with_the_reason_and_what_to_do(file: CheckedFile, said: str) -> None:
    kept, (left_out,) = select([file], CONFIG)
    assert kept == []
    assert str(left_out).startswith("model.int8.tflite is left out: ")
    assert said in str(left_out)
