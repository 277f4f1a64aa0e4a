import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mobiledet.bundle import Bundle, GoldenCase, ModelFile, listing_sha256, open_bundle, write_bundle
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec, ModelSpec

SPEC = ModelSpec(
    name="tiny",
    backbone="shufflenet_v2_0.5x",
    detector="ssdlite",
    input=InputSpec(32, 64),
    labels=("cat", "dog"),
    category_ids=(17, 18),
)
TOLERANCES = {"float32": {"iou": 0.99, "score": 1e-3}}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle whose model files are not models: nothing here runs them."""
    tflite, package = tmp_path / "a.tflite", tmp_path / "a.mlpackage"
    tflite.write_bytes(b"weights" * 100)
    (package / "Data").mkdir(parents=True)
    (package / "Data" / "weights.bin").write_bytes(b"more weights")
    image = np.arange(32 * 64 * 3, dtype=np.uint8).reshape(32, 64, 3)
    golden = GoldenCase(image, np.array([[0.1, 0.2, 0.3, 0.4]], np.float32), np.array([1]), np.array([0.9], np.float32))
    sources = [
        (tflite, ModelFile("model.float32.tflite", "tflite", "float32", 0, "")),
        (package, ModelFile("model.float16.vision.mlpackage", "coreml", "float16", 0, "", face="vision")),
        (package, ModelFile("model.float16.mlpackage", "coreml", "float16", 0, "", {"checked": "no"}, face="graph")),
    ]
    return write_bundle(tmp_path / "tiny.mobiledet", SPEC, sources, [golden], TOLERANCES)


def zipped(bundle: Bundle, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in bundle.root.rglob("*") if p.is_file()):
            archive.write(file, Path("tiny.mobiledet") / file.relative_to(bundle.root))
    return path


def test_folder_and_zip_hold_the_same(bundle: Bundle, tmp_path: Path) -> None:
    for opened in (open_bundle(bundle.path), open_bundle(zipped(bundle, tmp_path / "b.zip"))):
        assert opened.spec == SPEC
        assert opened.sha256 == bundle.sha256
        names = ["model.float32.tflite", "model.float16.vision.mlpackage", "model.float16.mlpackage"]
        assert [file.path for file in opened.files] == names
        assert [file.face for file in opened.files] == ["", "vision", "graph"]
        assert opened.files[0].bytes == 700
        (case,) = opened.golden()
        assert case.image.shape == (32, 64, 3)
        assert case.image[1, 2, 1] == (1 * 64 + 2) * 3 + 1 - 256 * (((1 * 64 + 2) * 3 + 1) // 256)
        assert case.classes.tolist() == [1]
        assert opened.golden_tolerance("float32") == TOLERANCES["float32"]
    assert (bundle.root / "labels.txt").read_text() == "cat\ndog\n"


def test_select_by_name_precision_and_format(bundle: Bundle) -> None:
    assert bundle.select().path == "model.float32.tflite"
    assert bundle.select("float32").path == "model.float32.tflite"
    assert bundle.select("model.float16.mlpackage").format == "coreml"
    assert bundle.select(format="coreml").path == "model.float16.mlpackage"  # before the one for Vision
    assert bundle.select("model.float16.vision.mlpackage").face == "vision"
    assert bundle.select("float16").path == "model.float16.mlpackage"  # no .tflite is of this precision
    with pytest.raises(UserError, match=r"holds no int8; it holds model\.float32\.tflite, model\.float16\.vision"):
        bundle.select("int8")
    assert dataclasses.replace(bundle, files=bundle.files[1:]).select().path == "model.float16.mlpackage"


def test_bundle_of_older_code_opens(bundle: Bundle) -> None:
    """Without a face."""
    listing = json.loads((bundle.path / "bundle.json").read_text(encoding="utf-8"))
    for file in listing["files"]:
        del file["face"]
    listing["sha256"] = listing_sha256(listing)
    (bundle.path / "bundle.json").write_text(json.dumps(listing))
    assert open_bundle(bundle.path).select("float16").face == ""


FILES = [
    "bundle.json",
    "labels.txt",
    "golden/golden.json",
    "golden/0.rgb",
    "model.float32.tflite",
    "model.float16.mlpackage/Data/weights.bin",
]


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_anywhere_is_found(bundle: Bundle, name: str) -> None:
    path = bundle.root / name
    content = bytearray(path.read_bytes())
    position = content.index(b"dog") if name == "bundle.json" else len(content) // 2
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"tiny\.mobiledet.* (has changed|is not JSON)") as error:
        open_bundle(bundle.path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    path = bundle.root / name
    path.unlink()
    with pytest.raises(UserError, match=r"missing|has changed"):
        open_bundle(bundle.path)


def test_a_changed_byte_anywhere_in_a_zip_is_an_error_of_one_line_or_harmless(bundle: Bundle, tmp_path: Path) -> None:
    content = zipped(bundle, tmp_path / "b.zip").read_bytes()
    refused = 0
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path = tmp_path / "damaged.zip"
        path.write_bytes(damaged)
        try:
            opened = open_bundle(path)
        except UserError:
            refused += 1
        else:  # a time stamp or a comment
            assert opened.sha256 == bundle.sha256
    assert refused > len(content) / 7 / 2


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt"])
def test_a_zip_cannot_write_outside(bundle: Bundle, tmp_path: Path, name: str) -> None:
    path = zipped(bundle, tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "evil")
    with pytest.raises(UserError, match="leads out of the bundle"):
        open_bundle(path)


def test_a_listed_file_cannot_lie_outside(bundle: Bundle, tmp_path: Path) -> None:
    listing = json.loads((bundle.root / "bundle.json").read_text())
    listing["files"][0]["path"] = "../a.tflite"
    (bundle.root / "bundle.json").write_text(json.dumps(listing))
    with pytest.raises(UserError, match="has changed"):
        open_bundle(bundle.path)


def test_a_link_out_of_the_bundle_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    model = bundle.root / "model.float32.tflite"
    shutil.move(model, tmp_path / "elsewhere.tflite")
    model.symlink_to(tmp_path / "elsewhere.tflite")
    with pytest.raises(UserError, match="is a link out of the bundle"):
        open_bundle(bundle.path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_a_file_that_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mobiledet"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.mobiledet is not a mobiledet bundle"):
        open_bundle(path)


def test_nothing_there_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no bundle at"):
        open_bundle(tmp_path / "absent")
    with pytest.raises(UserError, match=r"bundle\.json is missing"):
        open_bundle(tmp_path)


def test_an_existing_bundle_is_replaced_only_when_asked(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        write_bundle(bundle.path, SPEC, [], [], TOLERANCES)
    assert open_bundle(bundle.path).sha256 == bundle.sha256
    assert write_bundle(bundle.path, SPEC, [], [], TOLERANCES, overwrite=True).files == ()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
