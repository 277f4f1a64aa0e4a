import dataclasses
from pathlib import Path
from typing import Any

import pytest

from mobiledet.bundle import Bundle
from mobiledet.errors import UserError
from mobiledet.sweep.config import SweepConfig
from mobiledet.sweep.journal import Journal, fingerprint
from mobiledet.sweep.plan import Step, plan


def _names(**options: Any) -> list[str]:
    return [step.name for step in plan(SweepConfig(**options))]


def test_each_combination_is_trained_exported_and_evaluated() -> None:
    config = SweepConfig(
        backbones=("shufflenet_v2_1x", "torchvision:mobilenet_v3_small"),
        image_sizes=(160, 320),
        precisions=("float16", "int8"),
        devices=("local", "http://board:80"),
        data="shapes",
        train_options="--epochs 3",
    )
    steps = plan(config)
    assert len(steps) == 2 * 2 * (1 + 1 + 2 * 2)
    assert [step.name for step in steps[:6]] == [
        "train-shufflenet_v2_1x-ssdlite_fpn-160",
        "export-shufflenet_v2_1x-ssdlite_fpn-160",
        "evaluate-shufflenet_v2_1x-ssdlite_fpn-160-float16-local",
        "evaluate-shufflenet_v2_1x-ssdlite_fpn-160-float16-http---board-80",
        "evaluate-shufflenet_v2_1x-ssdlite_fpn-160-int8-local",
        "evaluate-shufflenet_v2_1x-ssdlite_fpn-160-int8-http---board-80",
    ]
    train, export, evaluate = steps[:3]
    assert train.arguments[-4:] == ("--epochs", "3", "--out", "sweep/runs/shufflenet_v2_1x-ssdlite_fpn-160")
    assert export.arguments[1] == str(train.output) == "sweep/runs/shufflenet_v2_1x-ssdlite_fpn-160/best.ckpt"
    assert evaluate.arguments[1] == str(export.output) == "sweep/bundles/shufflenet_v2_1x-ssdlite_fpn-160.mobiledet"
    assert evaluate.needs == (train.name, export.name)
    assert steps[8].name == "train-torchvision-mobilenet_v3_small-ssdlite_fpn-160" or steps[12].name.startswith(
        "train-"
    )


def test_bundles_checkpoints_and_run_folders(patch_bundle: Bundle, tmp_path: Path) -> None:
    run = tmp_path / "coco"
    run.mkdir()
    for name in ("best.ckpt", "last.ckpt"):
        (run / name).write_bytes(b"weights")
    names = _names(models=(patch_bundle.path, run, run / "last.ckpt"), precisions=("float16",))
    assert names == [
        "evaluate-patch-float16-local",
        "export-coco",
        "evaluate-coco-float16-local",
        "export-coco-last",
        "evaluate-coco-last-float16-local",
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "nothing to sweep"),
        ({"backbones": ("shufflenet_v2_1x",)}, "--backbones are trained on --data"),
        ({"models": (Path("none"),)}, "none is neither a bundle nor a checkpoint nor a run folder"),
        ({"models": (Path("none"),), "precisions": ()}, "--precisions is empty"),
        (
            {"backbones": ("a",), "data": "shapes", "train_options": "'open"},
            '--train-options "\'open" cannot be read: no closing quotation',
        ),
    ],
)
def test_mistakes(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        _names(**options)


def test_the_same_model_twice(patch_bundle: Bundle) -> None:
    with pytest.raises(UserError, match="make the same step evaluate-patch-float16-local"):
        _names(models=(patch_bundle.path, patch_bundle.path))


def test_what_counts_as_done(tmp_path: Path) -> None:
    source, output, path = tmp_path / "source", tmp_path / "output", tmp_path / "journal.json"
    source.write_text("one")
    step = Step("a", "export", ("export", "x"), output, source)
    journal = Journal(path)
    assert not journal.is_done(step)
    output.touch()
    journal.record(step, "", 3)
    assert Journal(path).is_done(step)
    assert not Journal(path).is_done(dataclasses.replace(step, arguments=("export", "y")))
    source.write_text("two")
    assert not Journal(path).is_done(step)
    source.write_text("one")
    output.unlink()
    assert not Journal(path).is_done(step)
    output.touch()
    journal.record(step, "it broke", 3)
    assert not Journal(path).is_done(step)
    assert Journal(path).outcomes["a"].reason == "it broke"
    assert fingerprint(None) == fingerprint(tmp_path / "none") == ""


@pytest.mark.parametrize("text", ["[]", "{}", '{"kind": "mobiledet sweep", "steps": {"a": 1}}', "x"])
def test_file_that_is_no_journal(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json"):
        Journal(tmp_path / "sweep.json")
