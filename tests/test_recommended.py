import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mobiledet.bundle import Bundle, ModelFile, copy_bundle, open_bundle, write_bundle
from mobiledet.errors import UserError
from mobiledet.golden import Golden
from mobiledet.recommended import doubtful_files, recommend


@pytest.fixture
def good(project_root: Path) -> Bundle:
    return open_bundle(project_root / "apps" / "testdata" / "bundles" / "good")


def _files(**changes: Any) -> list[ModelFile]:
    """float32, float16 and int8; ``changes`` of the last one."""
    files = [ModelFile(f"model.{name}.tflite", "tflite", name, 0, "") for name in ("float32", "float16", "int8")]
    return [*files[:2], dataclasses.replace(files[2], **changes)]


@pytest.mark.parametrize(
    ("changes", "cpu"),
    [
        ({}, "int8"),
        ({"map": {"AP": 0.3, "drop": 0.019}}, "int8"),
        ({"map": {"AP": 0.3, "drop": 0.021}}, "float32"),
        ({"parity": {"overruled": "it misses 30 %"}}, "float32"),
        ({"parity": {"overruled": "it misses 30 %"}, "map": {"AP": 0.3, "drop": 0.001}}, "int8"),
    ],
)
def test_a_file_that_lost_too_much_comes_last(changes: dict[str, Any], cpu: str) -> None:
    files = _files(**changes)
    chosen = recommend(files, doubtful_files(files))
    assert chosen["cpu"] == f"model.{cpu}.tflite"
    assert chosen["gpu"] == "model.float16.tflite"
    only = recommend(files[2:], doubtful_files(files))
    assert set(only.values()) == {"model.int8.tflite"}


def test_the_bundle_records_its_recommendations(good: Bundle, tmp_path: Path) -> None:
    listing = json.loads((good.root / "bundle.json").read_text())
    assert listing["recommended"] == good.recommended
    assert good.choose().path == good.recommended["cpu"] == "model.float32.tflite"
    assert good.choose("model.float16.mlpackage").format == "coreml"
    assert good.choose(device="ios:00008030").path == good.recommended["coreml"] == "model.float16.mlpackage"
    part = copy_bundle(good, tmp_path / "part.mobiledet", [file for file in good.files if file.format == "coreml"])
    assert part.recommended == {"coreml": "model.float16.mlpackage"}
    assert part.choose().path == "model.float16.mlpackage"


def test_the_accelerator_decides(good: Bundle, tmp_path: Path) -> None:
    source = good.root / good.files[0].path
    recorded = good.recorded.files[good.files[0].path]
    files = _files()
    golden = Golden(good.recorded.cases, {file.path: recorded for file in files})
    bundle = write_bundle(tmp_path / "three.mobiledet", good.spec, [(source, file) for file in files], golden)
    chosen = {name: bundle.choose("", name).precision for name in ("auto", "xnnpack", "gpu", "npu")}
    assert chosen == {"auto": "int8", "xnnpack": "int8", "gpu": "float16", "npu": "int8"}
    assert bundle.choose("float32", "gpu").precision == "float32"
    with pytest.raises(UserError, match="holds no int4"):
        bundle.choose("int4")
