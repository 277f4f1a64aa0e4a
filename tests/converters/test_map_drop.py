"""Files that lose more mAP than allowed are not shipped, unless forced: a real int8 file against its detector."""

import dataclasses
from pathlib import Path

import pytest

from mobiledet.bundle import Bundle
from mobiledet.errors import UserError
from mobiledet_converters import export as export_module
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export


@pytest.fixture
def measured(ready_made: None, config: ExportConfig, scenes: Path) -> ExportConfig:
    """Settings that measure the float32 and the int8 file on the scenes, which the detector has seen in training."""
    return dataclasses.replace(
        config,
        formats=("tflite",),
        precisions=("float32", "int8"),
        data=str(scenes),
        max_map_drop=1.0,
    )


@pytest.fixture(scope="module")
def known() -> list[float]:
    """The drop, once it is measured."""
    return []


@pytest.fixture
def drop(measured: ExportConfig, known: list[float]) -> float:
    """mAP that the int8 file really loses."""
    if not known:
        known.append(measure_drop(measured))
    return known[0]


def measure_drop(measured: ExportConfig) -> float:
    bundle = export(measured)
    float32, int8 = (bundle.select(precision).map or {} for precision in ("float32", "int8"))
    assert float32["AP"] == pytest.approx(float32["pytorch"], abs=1e-6)
    assert float32["drop"] == pytest.approx(0, abs=1e-6)
    assert int8["pytorch"] == float32["pytorch"]
    assert int8["drop"] == int8["pytorch"] - int8["AP"] > 1e-4
    assert (int8["dataset"], int8["images"]) == ("scenes-val", 12)
    return float(int8["drop"])


def test_file_within_the_limit_is_shipped(measured: ExportConfig, drop: float) -> None:
    config = dataclasses.replace(measured, overwrite=True, max_map_drop=drop)
    assert precisions(export(config)) == ["float32", "int8"]


def test_file_beyond_the_limit_is_left_out_and_its_layers_are_named(
    measured: ExportConfig, drop: float, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    config = dataclasses.replace(measured, overwrite=True, max_map_drop=drop - 1e-6)
    export_module.run(config)
    printed = capsys.readouterr().out
    assert "model.int8.tflite is left out: mAP 0." in printed
    assert f"{drop:.4f} less; allow more with --max-map-drop (now {config.max_map_drop:g})" in printed
    assert "largest errors in model.int8.tflite" in printed
    assert config.out is not None
    assert not (config.out / "model.int8.tflite").exists()
    assert (config.out / "model.float32.tflite").exists()


def test_forced_file_is_shipped_with_what_it_loses(measured: ExportConfig, drop: float) -> None:
    config = dataclasses.replace(measured, overwrite=True, max_map_drop=drop - 1e-6, force=True)
    bundle = export(config)
    assert precisions(bundle) == ["float32", "int8"]
    assert (bundle.select("int8").map or {})["drop"] == drop


def test_no_bundle_is_written_where_no_file_is_left(measured: ExportConfig, drop: float) -> None:
    out = dataclasses.replace(measured, out=measured.out.with_name("y.mobiledet"))  # type: ignore[union-attr]
    config = dataclasses.replace(out, precisions=("int8",), max_map_drop=drop - 1e-6)
    with pytest.raises(UserError, match=r"model\.int8\.tflite is left out: mAP .*; no bundle is written"):
        export(config)
    assert config.out is not None
    assert not config.out.exists()


def precisions(bundle: Bundle) -> list[str]:
    return [file.precision for file in bundle.files]
