"""The names of ``import mobiledet``: what they take and give, and that they stay what they are."""

import inspect
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mobiledet
from mobiledet.bundle import Bundle
from mobiledet.evaluation.config import EvaluateConfig, PredictConfig
from mobiledet.evaluation.result import read_result
from mobiledet.options import NanoDetPlusOptions
from mobiledet.training.config import TrainConfig
from mobiledet.training.recipes import RECIPES
from mobiledet.versions.config import CompareConfig
from mobiledet_converters.config import ExportConfig

Paint = Callable[..., np.ndarray]

# every function of the front door, called twice in each order, before and after the modules below are imported
CALLS = """
import importlib, sys
import mobiledet
bundle, picture, data, order = sys.argv[1:]

def refused(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except mobiledet.UserError as error:
        return str(error)
    raise AssertionError(f"{function} took {arguments} {options}")

def detect():
    with mobiledet.Detector.open(bundle) as detector:
        return len(detector.detect(picture))

calls = {
    "Detector": lambda: detect() or 1 / 0,
    "card": lambda: mobiledet.card(bundle).index("## Limits"),
    "compare": lambda: refused(mobiledet.compare, "x.json", "x.json", quiet=True).index("no file x.json"),
    "evaluate": lambda: 1 / mobiledet.evaluate(bundle, data=data, latency=False, quiet=True).metrics.AP,
    "export": lambda: refused(mobiledet.export, "absent.ckpt", formats=["tflite"]).index("no checkpoint at absent"),
    "list_backbones": lambda: mobiledet.list_backbones().index("shufflenet_v2_1x"),
    "list_detectors": lambda: mobiledet.list_detectors().index("ssdlite"),
    "train": lambda: refused(mobiledet.train, data="shapes", epochs=0, quiet=True).index("--epochs 0 is not in"),
}
modules = ("training", "evaluation", "detectors", "backbones", "devices", "data", "zoo", "sweep", "api", "cli")
if order == "modules first":
    for name in modules:
        importlib.import_module(f"mobiledet.{name}")
    importlib.import_module("mobiledet_converters.export")
for name in (*calls, *reversed(calls)):
    calls[name]()
for name in modules:
    importlib.import_module(f"mobiledet.{name}")
assert callable(mobiledet.train) and mobiledet.training.__name__ == "mobiledet.training"
print("called:", *calls)
"""


@pytest.fixture
def picture(tmp_path: Path, paint_cells: Paint) -> Path:
    path = tmp_path / "street.png"
    Image.fromarray(paint_cells([(1, 2, 0), (5, 5, 2)], 640, 480)).save(path)
    return path


def loaded_by(source: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {source}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_import_loads_nothing() -> None:
    assert not loaded_by("import mobiledet; dir(mobiledet)") & {"torch", "numpy", "tyro", "cv2", "PIL", "rich"}


def test_detectors_need_no_torch(patch_bundle: Bundle, picture: Path) -> None:
    source = f"import mobiledet; mobiledet.Detector.open({str(patch_bundle.path)!r}).detect({str(picture)!r}).draw()"
    loaded = loaded_by(source)
    assert "ai_edge_litert" in loaded
    assert not loaded & {"torch", "torchvision", "lightning_fabric", "matplotlib", "pycocotools"}


def test_names() -> None:
    assert set(mobiledet.__all__) <= set(dir(mobiledet))
    assert all(getattr(mobiledet, name).__doc__ for name in mobiledet.__all__)
    with pytest.raises(AttributeError, match="no attribute 'detect'"):
        mobiledet.detect  # noqa: B018
    assert (Path(mobiledet.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("order", ["functions first", "modules first"])
def test_every_function_can_be_called_again(order: str, patch_bundle: Bundle, patch_data: Path, picture: Path) -> None:
    command = [sys.executable, "-c", CALLS, str(patch_bundle.path), str(picture), str(patch_data), order]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    called = done.stdout.splitlines()[-1].removeprefix("called: ").split()
    others = {"Found", "UserError", "__version__"}
    assert {*called} == {*mobiledet.__all__} - others


def test_every_kind_of_picture_gives_the_same(patch_bundle: Bundle, picture: Path) -> None:
    pixels = np.asarray(Image.open(picture))
    kinds: list[Any] = [str(picture), picture, picture.read_bytes(), Image.open(picture), pixels]
    with mobiledet.Detector.open(patch_bundle.path, file="float16", threads=1) as detector:
        assert detector.file.precision == "float16"
        assert detector.execution.threads == 1
        each = [detector.detect(kind) for kind in kinds]
        assert isinstance(each[0], mobiledet.Found)
        for found in (*each, *detector.detect(kinds), *detector.detect(tuple(kinds))):
            order = np.argsort(found.labels)
            assert found.names == tuple(("red", "green", "blue")[label] for label in found.labels)
            np.testing.assert_allclose(found.boxes[order], [[160, 60, 240, 120], [400, 300, 480, 360]], atol=0.01)
            assert (found.scores > 0.9).all()
            assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)
            assert (found.height, found.width, len(found)) == (480, 640, 2)
        assert detector.detect([]) == []
        assert not len(detector.detect(picture, score=0.999))
    assert "640 x 480" in repr(found)


def test_default_score_is_that_of_predict() -> None:
    default = inspect.signature(mobiledet.Detector.detect).parameters["score"].default
    assert default == PredictConfig.score


def test_pictures_are_turned_upright(patch_bundle: Bundle, tmp_path: Path, paint_cells: Paint) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(paint_cells([(0, 0, 1)], 640, 480)).save(path, exif=exif)
    detector = mobiledet.Detector.open(patch_bundle.path)
    for kind in (path, path.read_bytes(), Image.open(path)):
        found = detector.detect(kind)
        np.testing.assert_allclose(found.boxes, [[420, 0, 480, 80]], atol=0.01)
        assert found.draw().shape == (640, 480, 3)


def test_drawing(patch_bundle: Bundle, picture: Path, tmp_path: Path) -> None:
    detector = mobiledet.Detector.open(patch_bundle.path)
    found = detector.detect(picture)
    for kind in (picture.read_bytes(), Image.open(picture), np.asarray(Image.open(picture))):
        np.testing.assert_array_equal(detector.detect(kind).draw(), found.draw())
    drawn = found.draw(tmp_path / "new" / "out.jpg")
    with Image.open(tmp_path / "new" / "out.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (640, 480))
    assert (drawn != np.asarray(Image.open(picture))).any()
    with pytest.raises(mobiledet.UserError, match="would overwrite the original image"):
        found.draw(picture)
    with pytest.raises(mobiledet.UserError, match=r"cannot write .*out\.gif: its name must end in"):
        found.draw(tmp_path / "out.gif")
    Image.new("RGB", (20, 20)).save(picture)
    with pytest.raises(mobiledet.UserError, match="has changed since the detection"):
        found.draw()


def test_supervision(patch_bundle: Bundle, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = mobiledet.Detector.open(patch_bundle.path).detect(picture)
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(mobiledet.UserError, match="pip install supervision"):
        found.to_supervision()
    monkeypatch.undo()
    supervision = pytest.importorskip("supervision")
    theirs = found.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    np.testing.assert_array_equal(theirs.xyxy, found.boxes)
    assert tuple(theirs.data["class_name"]) == found.names


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("absent.jpg", r"cannot decode image absent\.jpg: no such file"),
        (b"no picture", "it is not an image of a known format"),
        (np.zeros((4, 4, 4), np.uint8), "an array of 4 x 4 x 4 uint8 is not an image; give height x width x 3 uint8"),
        (np.zeros((4, 4, 3)), "an array of 4 x 4 x 3 float64 is not an image"),
        (7, "a int is not an image"),
    ],
)
def test_what_is_no_picture(patch_bundle: Bundle, picture: Any, message: str) -> None:
    detector = mobiledet.Detector.open(patch_bundle.path)
    with pytest.raises(mobiledet.UserError, match=message):
        detector.detect(picture)
    with pytest.raises(mobiledet.UserError, match=message):
        detector.detect([picture])


@pytest.mark.parametrize(
    ("bundle", "options", "message"),
    [
        ("absent.mobiledet", {}, "no bundle at absent.mobiledet"),
        (None, {"file": "int4"}, "holds no int4"),
        (None, {"device": "fridge"}, "unknown device 'fridge'"),
        (None, {"threads": -1}, "--threads -1 is not in"),
        (None, {"accelerator": "npu"}, "npu"),
    ],
)
def test_what_cannot_be_opened(patch_bundle: Bundle, bundle: str | None, options: Any, message: str) -> None:
    with pytest.raises(mobiledet.UserError, match=message):
        mobiledet.Detector.open(bundle or patch_bundle.path, **options)


def test_evaluation(patch_bundle: Bundle, patch_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    quick = {"min_runs": 1, "min_seconds": 0, "warmup_seconds": 0, "warmup_limit_seconds": 0}
    result = mobiledet.evaluate(patch_bundle, data=patch_data, precision="float32", **quick)
    assert pytest.approx(1) == result.metrics.AP
    assert result.latency
    assert result.latency.p50_ms == result.latency.infer.p50_ms > 0
    assert not list(tmp_path.iterdir())
    again = mobiledet.evaluate(str(patch_bundle.path), data=str(patch_data), latency=False, out="r/x.json", quiet=True)
    assert again.latency is None
    assert read_result(tmp_path / "r" / "x.json") == again
    assert (tmp_path / "r" / "x.detections.ndjson").is_file()
    with pytest.raises(mobiledet.UserError, match="was not measured"):
        _ = replace(result, accuracy=None).metrics


def test_progress_can_be_silenced(patch_bundle: Bundle, patch_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mobiledet.evaluate(patch_bundle, data=patch_data, latency=False, quiet=True)
    assert capsys.readouterr() == ("", "")
    mobiledet.evaluate(patch_bundle, data=patch_data, latency=False)
    assert "images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "config"),
    [
        (mobiledet.train, TrainConfig),
        (mobiledet.export, ExportConfig),
        (mobiledet.evaluate, EvaluateConfig),
        (mobiledet.compare, CompareConfig),
    ],
)
def test_arguments_are_the_options_of_the_command(function: Callable[..., Any], config: type) -> None:
    parameters = inspect.signature(function).parameters
    assert {*parameters} == {field.name for field in fields(config)} | {"quiet"}
    for name, parameter in inspect.signature(config).parameters.items():
        assert parameters[name].default == parameter.default
        assert f"\n    {name}: " in (function.__doc__ or "")
        assert "Annotated" not in str(parameters[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": "5"}, "epochs is '5', not of type int"),
        ({"augmentation": "all"}, "augmentation is 'all', not one of default, flip"),
        ({"lr_steps": [1, 2.5]}, r"lr_steps\[1\] is 2.5, not of type int"),
        ({"out": 5}, "out is 5, not a path"),
        ({"recipe": "list"}, "unknown recipe 'list'"),
        ({"recipe": "finetun"}, "did you mean finetune"),
        ({"backbone": "shufflenet_v2_2"}, "did you mean shufflenet_v2_2x"),
    ],
)
def test_wrong_settings_are_told(options: Any, message: str) -> None:
    with pytest.raises(mobiledet.UserError, match=message):
        mobiledet.train(quiet=True, **options)


def test_unknown_arguments_are_told() -> None:
    with pytest.raises(TypeError, match=r"train\(\): got an unexpected keyword argument 'epoch'"):
        mobiledet.train(epoch=5)  # type: ignore[call-arg]
    with pytest.raises(mobiledet.UserError, match="tool benchmark_model returns no result"):
        mobiledet.evaluate("x.mobiledet", tool="benchmark_model")


def test_given_settings_win_over_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    from mobiledet.training import engine

    taken: list[TrainConfig] = []
    monkeypatch.setattr(engine, "train", lambda config, quiet: taken.append(config))
    recipe = "nanodet_plus_m_320"
    mobiledet.train(recipe=recipe, epochs=TrainConfig.epochs, lr_steps=[3], out="runs/x", image_size=np.int64(96))
    (config,) = taken
    assert config.lr == RECIPES[recipe].settings["lr"] != TrainConfig.lr
    assert (config.epochs, config.lr_steps, config.out) == (TrainConfig.epochs, (3,), Path("runs/x"))
    assert type(config) is TrainConfig
    assert type(config.image_size) is int


def test_options_of_the_network_are_words_objects_or_dicts(monkeypatch: pytest.MonkeyPatch) -> None:
    from mobiledet.training import engine

    taken: list[TrainConfig] = []
    monkeypatch.setattr(engine, "train", lambda config, quiet: taken.append(config))
    train: Callable[..., object] = mobiledet.train
    for options in (NanoDetPlusOptions(guidance=False), {"guidance": False}, ["guidance=false"]):
        train(detector="nanodet_plus", detector_options=options, backbone_options={"activation": "relu"})
    assert {config.detector_options for config in taken} == {("guidance=false",)}
    assert {config.backbone_options for config in taken} == {('activation="relu"',)}


def test_pil_picture_that_is_cut_off(patch_bundle: Bundle, picture: Path) -> None:
    image = Image.open(io.BytesIO(picture.read_bytes()[:600]))
    with pytest.raises(mobiledet.UserError, match="given as a PIL image"):
        mobiledet.Detector.open(patch_bundle.path).detect(image)
