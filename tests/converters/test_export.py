"""The export command: what it writes, and what it refuses."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from mobiledet.bundle import Bundle, open_bundle
from mobiledet.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mobiledet.cli import main
from mobiledet.detections import Detections
from mobiledet.devices.golden import replay_golden
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError
from mobiledet.golden import GoldenCase
from mobiledet_converters import export as export_module
from mobiledet_converters import process, selection
from mobiledet_converters.config import EXIT_INCOMPLETE, ExportConfig
from mobiledet_converters.export import export, make
from mobiledet_converters.precisions import COARSE, TFLITE


def altered(source: Path, target: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    checkpoint = load_checkpoint(source)
    change(checkpoint.weights)
    save_checkpoint(target, Checkpoint(checkpoint.spec, checkpoint.weights))
    return target


def test_bundle_holds_the_files_and_what_was_measured(exported_bundle: Bundle) -> None:
    assert [(f.path, f.format, f.precision) for f in exported_bundle.files] == [
        ("model.float32.tflite", "tflite", "float32"),
        ("model.float16.tflite", "tflite", "float16"),
        ("model.int8.tflite", "tflite", "int8"),
        ("model.float16.mlpackage", "coreml", "float16"),
        ("model.float16.vision.mlpackage", "coreml", "float16"),
    ]
    float32, float16, int8, coreml, _ = (file.parity or {} for file in exported_bundle.files)
    assert float32["matched"] == float32["expected"] > 100
    assert float32["lowest_iou"] > 0.999
    assert float32["largest_score_difference"] < 1e-4
    assert float16["largest_score_difference"] > float32["largest_score_difference"]
    assert float32["raw"]["class_logits"]["sqnr_db"] > 90
    assert float32["checked"] == "detections in LiteRT against PyTorch"
    assert int8["largest_score_difference"] > float16["largest_score_difference"]
    assert 8 < int8["raw"]["class_logits"]["sqnr_db"] < 60
    assert int8["reference_kernels"]["matched"] > 0.7 * int8["reference_kernels"]["expected"] > 10
    assert coreml["checked"] == "detections in the interpreter against PyTorch"
    assert coreml["verified"] == "interpreter-verified, not device-verified"
    assert coreml["matched"] > 0.98 * coreml["expected"] > 100
    assert 0 < coreml["largest_score_difference"] < 5e-3
    assert min(difference["sqnr_db"] for difference in coreml["raw"].values()) > 40
    assert exported_bundle.spec.labels == ("circle", "square", "triangle", "étoile", "ring", "cross")


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize("accelerator", ["xnnpack", "cpu"])
def test_golden_cases_can_be_replayed(exported_bundle: Bundle, precision: str, accelerator: str) -> None:
    file = exported_bundle.select(precision)
    detector = LiteRtDetector(exported_bundle.root / file.path, accelerator)

    def detect(case: GoldenCase) -> Detections:
        detector.set_input(case.image)
        detector.invoke()
        return detector.detections(1, 1)

    report = replay_golden(exported_bundle, file, accelerator, detect)
    assert report.cases == 3
    assert report.detections > 20


def test_other_weights_are_refused_and_nothing_is_written(
    ready_made: None, config: ExportConfig, tmp_path: Path
) -> None:
    def raise_one_score(weights: dict[str, torch.Tensor]) -> None:
        weights["head.classes.0.1.bias"][1] += 0.2

    other = altered(config.checkpoint, tmp_path / "other.ckpt", raise_one_score)
    with pytest.raises(UserError, match=r"model\.float32\.tflite is left out: class_logits is .* no bundle is written"):
        export(dataclasses.replace(config, checkpoint=other, formats=("tflite",)))
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("changes", "message"), [({"nms_iou": 0.2}, r"\d\d are unsettled"), ({"nms_score": 0.3}, "it invents ")]
)
def test_other_post_processing_is_refused(
    ready_made: None, config: ExportConfig, tmp_path: Path, changes: dict[str, float], message: str
) -> None:
    with pytest.raises(UserError, match=r"model\.float32\.tflite is left out: .*" + message):
        export(dataclasses.replace(config, formats=("tflite",), **changes))  # type: ignore[arg-type]
    assert not list((tmp_path / "out").iterdir())


def test_core_ml_package_of_other_weights_is_refused(ready_made: None, config: ExportConfig, tmp_path: Path) -> None:
    def shift(weights: dict[str, torch.Tensor]) -> None:
        weights["head.boxes.0.1.bias"] += 0.5

    other = altered(config.checkpoint, tmp_path / "other.ckpt", shift)
    with pytest.raises(UserError, match=r"model\.float16\.mlpackage is left out: box_deltas is"):
        export(dataclasses.replace(config, checkpoint=other, formats=("coreml",), face=("graph",)))
    assert not list((tmp_path / "out").iterdir())


def test_core_ml_package_of_other_post_processing_is_refused(
    ready_made: None, config: ExportConfig, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"model\.float16\.mlpackage is left out: it invents"):
        export(dataclasses.replace(config, formats=("coreml",), face=("graph",), nms_score=0.3))
    assert not list((tmp_path / "out").iterdir())


def test_ready_made_files_pass(ready_made: None, config: ExportConfig) -> None:
    bundle = export(dataclasses.replace(config, formats=("tflite",), precisions=("float16",)))
    assert [file.path for file in bundle.files] == ["model.float16.tflite"]
    assert open_bundle(bundle.path).sha256 == bundle.sha256
    assert [path.name for path in bundle.path.parent.iterdir()] == ["x.mobiledet"]


def test_a_model_card_lies_beside_the_bundle(ready_made: None, config: ExportConfig) -> None:
    bundle = make(dataclasses.replace(config, formats=("tflite",), precisions=("float16",)), Console(quiet=True))
    names = sorted(path.name for path in bundle.path.parent.iterdir())
    assert names == ["x.card.html", "x.card.md", "x.mobiledet"]
    card = (bundle.path.parent / "x.card.md").read_text()
    assert card.startswith(f"# {bundle.spec.name}\n")
    assert bundle.sha256 in card


@pytest.fixture
def strict_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no int8 file pass."""
    gate = dataclasses.replace(COARSE, iou=0.9, score=0.05, different=0.0, unsettled=0.0)
    monkeypatch.setitem(TFLITE, "int8", dataclasses.replace(TFLITE["int8"], gate=gate))


def test_a_file_that_differs_is_left_out_and_the_last_line_says_so(
    ready_made: None, strict_int8: None, config: ExportConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(config, formats=("tflite",), precisions=("float32", "int8"))
    assert export_module.run(config) == EXIT_INCOMPLETE == 3
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("model.int8.tflite is left out: it ")
    assert last.endswith("give --data with validation images, so that its mAP decides, or --force to keep it anyway")
    assert config.out is not None
    bundle = open_bundle(config.out)
    assert [file.path for file in bundle.files] == ["model.float32.tflite"]
    assert [str(file) for file in bundle.left_out] == [last]


def test_strict_writes_nothing_if_a_file_is_left_out(ready_made: None, strict_int8: None, config: ExportConfig) -> None:
    config = dataclasses.replace(config, formats=("tflite",), precisions=("float32", "int8"), strict=True)
    with pytest.raises(UserError, match=r"model\.int8\.tflite is left out: .*; no bundle is written"):
        export(config)
    assert config.out is not None
    assert not config.out.exists()


def test_map_overrules_what_integers_change(
    ready_made: None, strict_int8: None, config: ExportConfig, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "KEPT_DROP", 0.5)  # the detector is hardly trained
    config = dataclasses.replace(config, formats=("tflite",), precisions=("int8",), data=str(scenes), max_map_drop=0.5)
    (file,) = export(config).files
    assert 0.01 < (file.map or {})["drop"] <= 0.5
    assert (file.parity or {})["overruled"].startswith("it ")


def test_images_without_objects_are_told(
    ready_made: None, config: ExportConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def silence(weights: dict[str, torch.Tensor]) -> None:
        for level in range(6):
            weights[f"head.classes.{level}.1.bias"][0::7] += 50  # background

    quiet = altered(config.checkpoint, tmp_path / "quiet.ckpt", silence)
    with pytest.raises(UserError, match="class_logits"):
        export_module.run(dataclasses.replace(config, checkpoint=quiet, formats=("tflite",)))
    printed = capsys.readouterr().out
    assert "PyTorch detects 0 objects in 4 images" in printed
    assert "only raw outputs can be compared" in printed


def test_existing_output_is_kept(config: ExportConfig) -> None:
    assert config.out is not None
    config.out.mkdir(parents=True)
    (config.out / "bundle.json").write_text("mine")
    with pytest.raises(UserError, match=r"exists already; choose another --out or pass --overwrite"):
        export(config)
    (config.out / "bundle.json").rename(config.out / "thesis.tex")
    with pytest.raises(UserError, match="not a mobiledet bundle, so it is not replaced"):
        export(dataclasses.replace(config, overwrite=True))
    assert (config.out / "thesis.tex").read_text() == "mine"


def test_existing_bundle_is_replaced_on_demand(ready_made: None, config: ExportConfig) -> None:
    config = dataclasses.replace(config, formats=("tflite",), precisions=("float32",))
    first = export(config).sha256
    (config.out / "model.float32.tflite").write_text("broken")  # type: ignore[operator]
    assert export(dataclasses.replace(config, overwrite=True)).sha256 == first


def test_output_that_cannot_be_written_is_told_at_once(config: ExportConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*x\.mobiledet"):
        export(dataclasses.replace(config, out=tmp_path / "file" / "x.mobiledet"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": Path("missing")}, "cannot find missing"),
        ({"parity_images": 0}, "--parity-images is 0"),
        ({"formats": ()}, "--format is empty"),
        ({"face": ()}, "--face is empty"),
        ({"ios": 19}, "--ios 19 is not supported; give one of 15, 16, 17, 18, 26"),
        ({"max_detections": 1000}, "max_detections <= top_k"),
        ({"nms_iou": 2.0}, "nms iou 2.0"),
        ({"checkpoint": Path("missing.ckpt")}, "no checkpoint at"),
        ({"calibration": "missing"}, "--calibration missing does not exist"),
        ({"calibration_images": 0}, "--calibration-images is 0"),
        ({"measure": True, "data": "missing"}, "data folder missing does not exist"),
        ({"formats": ("coreml",), "precisions": ("int8-weights",)}, "--precision int8-weights: coreml has"),
    ],
)
def test_bad_settings_are_told(config: ExportConfig, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        export(dataclasses.replace(config, **changes))  # type: ignore[arg-type]
    assert config.out is not None
    assert not config.out.exists()


def test_missing_checkpoint_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint at"):
        export(ExportConfig(tmp_path / "typo" / "best.ckpt"))
    assert not (tmp_path / "typo").exists()


def test_missing_converter_is_told_before_anything_else(config: ExportConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(process.CONVERTERS, "tflite", ("x", ("a_package_that_is_not_there",)))
    with pytest.raises(UserError, match=r"--format tflite needs a_package_that_is_not_there.*mobiledet\[tflite\]"):
        export(dataclasses.replace(config, checkpoint=Path("missing.ckpt")))


def test_command_prints_a_table(
    ready_made: None, config: ExportConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["export", str(config.checkpoint), "--out", str(config.out), "--images", str(config.images)]
    arguments += ["--calibration", str(config.calibration), "--no-judge"]
    assert main([*arguments, "--format", "tflite", "coreml"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines()[2:-2])) <= 80  # but for paths
    printed = " ".join(printed.split())
    for text in ("model.float32.tflite", "float16", "MB", "as PyTorch", "mAP: not measured, for no validation images"):
        assert text in printed
    assert "i: run by the reference interpreter, for there is no Core ML runtime outside Apple systems" in printed
    assert str(config.out) in printed
    listing = json.loads((config.out / "bundle.json").read_text())  # type: ignore[operator]
    assert len(listing["files"]) == 5


def test_error_is_one_line_and_leaves_nothing(
    scene_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.ckpt"
    bad.write_bytes(scene_checkpoint.read_bytes()[:5000])
    assert main(["export", str(bad)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {bad} is not a readable checkpoint")
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["bad.ckpt"]
