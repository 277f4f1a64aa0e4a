"""The table of a device's latencies, measured here on real files."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from mobiledet.bundle import Bundle, LeftOut, write_bundle
from mobiledet.cli import main
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.errors import UserError
from mobiledet.profile import survey as survey_module
from mobiledet.profile.config import ProfileConfig
from mobiledet.profile.latency_table import Shape, read_table, write_table
from mobiledet.profile.survey import bundle_of, survey
from mobiledet.spec import ModelSpec

SHAPES = (Shape("shufflenet_v2_0.5x", "ssdlite", 96, 96, 6), Shape("ghostnet_0.5x", "ssdlite", 96, 96, 6))


@pytest.fixture
def ready_made(exported_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Exports of the first network are there, of the second fail; and a measurement is short."""
    asked: list[str] = []

    def bundle_of(shape: Shape, tell: Callable[[], None]) -> Bundle:
        asked.append(shape.backbone)
        if shape == SHAPES[1]:
            raise UserError("no converter for ghosts")
        return exported_bundle

    file = exported_bundle.select("float16")
    exported_bundle = dataclasses.replace(exported_bundle, files=(file,))
    monkeypatch.setattr(survey_module, "bundle_of", bundle_of)
    monkeypatch.setattr(survey_module, "PRECISIONS", (file.precision,))
    monkeypatch.setattr(survey_module, "ROUNDS", 2)
    monkeypatch.setattr(survey_module, "PLAN", BenchmarkPlan(1, 0.0, 0.0, runs=3, seconds=0.0))
    return asked


def test_table_is_kept_and_completed(ready_made: list[str], tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    config = ProfileConfig(all=True, out=path)
    table = survey(config, Console(quiet=True), SHAPES)
    assert read_table(path) == table
    assert {row.shape for row in table.rows} == {SHAPES[0]}
    assert all(
        row.bytes > 0 and len(row.timings) == 2 and all(timing.runs >= 3 for timing in row.timings)
        for row in table.rows
    )
    assert (table.accelerator, table.threads, table.device.runtime) == ("xnnpack", 1, "litert")
    assert table.left_out == ("ghostnet_0.5x ssdlite 96 x 96: no converter for ghosts",)
    # what is there is not measured again, what failed is tried again
    ready_made.clear()
    assert survey(config, Console(quiet=True), SHAPES).rows == table.rows
    assert ready_made == ["ghostnet_0.5x"]


def test_tables_of_other_devices_are_left_alone(ready_made: list[str], tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    table = survey(ProfileConfig(all=True, out=path), Console(quiet=True), SHAPES[:1])
    other = dataclasses.replace(table, device=dataclasses.replace(table.device, model="a phone"))
    write_table(path, other)
    with pytest.raises(UserError, match="holds latencies of a phone"):
        survey(ProfileConfig(all=True, out=path), Console(quiet=True), SHAPES)
    assert read_table(path) == other


def test_options_that_contradict_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, words in (
        (["--all", "--backbone", "ghostnet_1x"], "--all measures its own set of networks"),
        (["--all", "--guidelines"], "give one of them"),
        (["--all", "--out", str(tmp_path)], "is a folder; give the name of a file"),
        (["--backbone", "ghostnet_1x", "--device", "adb"], "--device needs --all"),
    ):
        assert main(["profile", *options]) == 2
        assert words in capsys.readouterr().err


def test_a_bundle_without_its_integers_is_made_again(
    exported_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a kill between two tries leaves it."""
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path))
    seeds: list[int] = []

    def exported(spec: ModelSpec, path: Path, seed: int) -> Bundle:
        seeds.append(seed)
        missing = (LeftOut("model.int8.tflite", "", ""),) if len(seeds) in (1, 3) else ()
        sources = [(exported_bundle.root / file.path, file) for file in exported_bundle.files]
        return write_bundle(path, exported_bundle.spec, sources, exported_bundle.recorded, left_out=missing)

    monkeypatch.setattr(survey_module, "_exported", exported)
    monkeypatch.setattr(survey_module, "SEEDS", 1)
    assert bundle_of(SHAPES[0], lambda: None).left_out
    assert not bundle_of(SHAPES[0], lambda: None).left_out
    bundle_of(SHAPES[0], lambda: None)
    assert seeds == [0, 0]


@pytest.mark.exhaustive
def test_networks_with_random_weights_are_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path))
    shape = Shape("mobilenet_v1_0.25x", "ssdlite_fpn", 64, 96, 3)
    told: list[bool] = []
    bundle = bundle_of(shape, lambda: told.append(True))
    assert {file.precision for file in bundle.files} == {"float16", "int8"}
    assert (bundle.spec.input.height, bundle.spec.input.width, bundle.spec.num_classes) == (64, 96, 3)
    assert bundle_of(shape, lambda: told.append(True)).sha256 == bundle.sha256
    assert told == [True]
