import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobiledet.bundle import Bundle, ModelFile, copy_bundle, open_bundle, write_bundle
from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.files.checksums import write_checksums
from mobiledet.golden import Golden, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import Tolerance
from mobiledet.spec import InputSpec, ModelSpec

SPEC = ModelSpec(
    name="tiny",
    backbone="shufflenet_v2_0.5x",
    detector="ssdlite",
    input=InputSpec(32, 64),
    labels=("cat", "dog"),
    category_ids=(17, 18),
)
IMAGE = np.arange(32 * 64 * 3, dtype=np.uint8).reshape(32, 64, 3)
PICTURE = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
NAMES = ("model.float32.tflite", "model.float16.vision.mlpackage", "model.float16.mlpackage")


def outputs(score: float) -> GoldenOutputs:
    return GoldenOutputs(
        np.array([[0.1, 0.2, 0.3, 0.4]], np.float32), np.array([1]), np.array([score], np.float32), 0.1
    )


def golden(names: tuple[str, ...] = NAMES) -> Golden:
    """A raw case and a picture; each file gives scores of its own."""
    files = {
        name: GoldenFile(
            (outputs(0.9 - number / 10), outputs(0.8)), "by decree", Tolerance(0.99, 1e-3), Tolerance(0.9, 0.05)
        )
        for number, name in enumerate(names)
    }
    return Golden((GoldenInput.of_pixels(IMAGE), GoldenInput.of_image(PICTURE)), files)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle whose model files are not models: nothing here runs them."""
    tflite, package = tmp_path / "a.tflite", tmp_path / "a.mlpackage"
    tflite.write_bytes(b"weights" * 100)
    (package / "Data").mkdir(parents=True)
    (package / "Data" / "weights.bin").write_bytes(b"more weights")
    sources = [
        (tflite, ModelFile(NAMES[0], "tflite", "float32", 0, "")),
        (package, ModelFile(NAMES[1], "coreml", "float16", 0, "", face="vision")),
        (package, ModelFile(NAMES[2], "coreml", "float16", 0, "", {"checked": "no"}, face="graph")),
    ]
    return write_bundle(tmp_path / "tiny.mobiledet", SPEC, sources, golden())


def zipped(bundle: Bundle, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in bundle.root.rglob("*") if p.is_file()):
            archive.write(file, Path("tiny.mobiledet") / file.relative_to(bundle.root))
    return path


def test_folder_and_zip_hold_the_same(bundle: Bundle, tmp_path: Path) -> None:
    for opened in (open_bundle(bundle.path), open_bundle(zipped(bundle, tmp_path / "b.zip"))):
        assert opened.spec == SPEC
        assert opened.sha256 == bundle.sha256
        assert tuple(file.path for file in opened.files) == NAMES
        assert [file.face for file in opened.files] == ["", "vision", "graph"]
        assert opened.files[0].bytes == 700
        assert opened.files == bundle.files
        for number, file in enumerate(opened.files):
            raw, encoded = opened.golden(file)
            assert np.array_equal(raw.image, IMAGE)
            assert encoded.image.shape == IMAGE.shape
            assert np.array_equal(np.asarray(Image.open(BytesIO(encoded.encoded))), PICTURE)
            assert raw.expected.scores.tolist() == [np.float32(0.9 - number / 10)]
            assert raw.expected.labels.tolist() == [1]
            assert raw.expected.boxes_xyxy.tolist() == [np.array([0.2, 0.1, 0.4, 0.3], np.float32).tolist()]
            assert raw.cut == pytest.approx(0.1)
            recorded = opened.recorded.files[file.path]
            assert recorded.runtime == "by decree"
            assert recorded.tolerance("xnnpack") == Tolerance(0.99, 1e-3)
            assert recorded.tolerance("gpu") == recorded.tolerance("what nobody knows") == Tolerance(0.9, 0.05)
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


def test_sha256sum_agrees(bundle: Bundle) -> None:
    """The real program of coreutils, inside of the bundle."""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=bundle.root, capture_output=True, text=True, check=True
    )
    names = sorted(path.relative_to(bundle.root).as_posix() for path in bundle.root.rglob("*") if path.is_file())
    assert done.stdout.splitlines() == [f"{name}: OK" for name in names if name != "SHA256SUMS"]
    assert bundle.sha256 == hashlib.sha256((bundle.root / "SHA256SUMS").read_bytes()).hexdigest()


def test_no_file_holds_a_checksum_or_a_number_that_json_lacks(bundle: Bundle) -> None:
    for name in ("bundle.json", "golden/golden.json"):
        text = (bundle.root / name).read_text()
        assert "sha256" not in text
        json.loads(text, parse_constant=lambda name: pytest.fail(name))


def test_bundles_of_an_older_mobiledet_are_refused_in_one_line(bundle: Bundle) -> None:
    index = bundle.root / "golden" / "golden.json"
    index.write_text(json.dumps({"cases": [], "tolerances": {}}))
    write_checksums(bundle.root)
    with pytest.raises(UserError, match=r"tiny\.mobiledet: golden cases of an older mobiledet; export it again$"):
        open_bundle(bundle.path)
    (bundle.root / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match=r"SHA256SUMS is missing, as in bundles of an older mobiledet; [^\n]*$"):
        open_bundle(bundle.path)


def test_a_copy_of_some_files_has_their_cases(bundle: Bundle, tmp_path: Path) -> None:
    copy = copy_bundle(bundle, tmp_path / "copy", [bundle.files[2]])
    assert [file.path for file in copy.files] == list(copy.recorded.files) == [NAMES[2]]
    (ours, theirs) = (each.golden(each.files[-1]) for each in (bundle, copy))
    assert [case.encoded for case in copy.golden(copy.files[0])] == [case.encoded for case in ours]
    assert theirs[0].expected.scores == ours[0].expected.scores
    assert copy.files[0] == bundle.files[2]


def _damaged(index: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Golden files with one thing wrong, and how that is told."""

    def changed(*path: Any, value: Any) -> dict[str, Any]:
        copy = json.loads(json.dumps(index))
        inner = copy
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return dict(copy)

    file, output = ("files", NAMES[0]), ("files", NAMES[0], "outputs", 0)
    yield changed("version", value=3), "golden cases of version 3, not 2"
    yield changed("version", value=True), "of an older mobiledet"
    yield changed("version", value="2"), "golden cases of version '2'"
    yield changed("cases", value=[]), "there is no case"
    yield changed("cases", value={}), "cases is {}, not a list"
    yield changed("cases", 0, value={"image": "0.rgb"}), "cases[0].input is missing"
    yield changed("cases", 0, "input", value="../labels.txt"), "'../labels.txt' is not the name of a"
    yield changed("cases", 0, "input", value="golden.json"), "'golden.json' is not the name of a"
    yield changed("cases", 0, "input", value="/etc/passwd.png"), "is not the name of a"
    yield changed("cases", 0, "input", value="7.rgb"), "input 7.rgb is missing"
    yield changed("cases", 0, "input", value=7), "not of type str"
    yield changed("unknown", value=1), "unknown is unknown"
    yield changed("files", value={}), f"{', '.join(sorted(NAMES))} has no outputs"
    yield changed("files", "x.tflite", value=index["files"][NAMES[0]]), "x.tflite is not a model file of the bundle"
    yield changed(*file, "runtime", value=None), "runtime is None"
    yield changed(*file, "outputs", value=index["files"][NAMES[0]]["outputs"][:1]), "1 outputs for 2 cases"
    yield changed(*file, "tolerance", value={"cpu": {"iou": 1, "score": 0}}), "tolerance.accelerated is missing"
    for name, value in (("iou", 0.5), ("iou", 1.1), ("iou", -1), ("iou", True), ("score", 0.6), ("score", -0.1)):
        yield changed(*file, "tolerance", "accelerated", name, value=value), f"accelerated.{name} is {value}"
    yield changed(*file, "tolerance", "cpu", "iou", value="1"), "tolerance.cpu.iou is '1', not a number"
    yield changed(*output, "boxes", value=[[0.1, 0.2, 0.3]]), "not a list of 4"
    yield changed(*output, "boxes", value=[]), "0 boxes, 1 classes and 1 scores do not agree"
    yield changed(*output, "boxes", value=[[0.1, 0.2, 0.3, 1e39]]), "a box is too large"
    yield changed(*output, "boxes", value=[[0.1, 0.2, 0.3, None]]), "is None, not a number"
    yield changed(*output, "classes", value=[2]), "a class is not in 0..1"
    yield changed(*output, "classes", value=[-1]), "a class is not in 0..1"
    yield changed(*output, "classes", value=[1.0]), "is 1.0, not of type int"
    yield changed(*output, "scores", value=[1.5]), "a score is not in 0..1"
    yield changed(*output, "cut", value=0.95), "cut 0.95 is not in 0..lowest score"
    many = {"boxes": [[0, 0, 1, 1]] * 101, "classes": [0] * 101, "scores": [0.5] * 101, "cut": 0}
    yield changed("files", NAMES[0], "outputs", 0, value=many), "101 detections in 100 rows"


def test_malformed_golden_files_are_refused_in_one_line(bundle: Bundle) -> None:
    path = bundle.root / "golden" / "golden.json"
    text = path.read_text()
    cases = [(json.dumps(values), reason) for values, reason in _damaged(json.loads(text))]
    cases += [(text.replace("0.99", number), f"{number} is not a number") for number in ("NaN", "-Infinity")]
    cases += [
        (text.replace("0.99", "1e999"), "tolerance.cpu.iou is inf, not a finite number"),
        ("[]", "of an older mobiledet"),
        ("{", "cannot be used"),
        ("[" * 5000, "nested too deeply"),
    ]
    for content, reason in cases:
        path.write_text(content)
        write_checksums(bundle.root)
        with pytest.raises(UserError) as error:
            open_bundle(bundle.path)
        assert reason in str(error.value), (reason, str(error.value))
        assert "\n" not in str(error.value)
        assert "export" in str(error.value) or "matching" in str(error.value)


def test_a_raw_case_of_another_size_is_refused(bundle: Bundle) -> None:
    (bundle.root / "golden" / "0.rgb").write_bytes(bytes(100))
    write_checksums(bundle.root)
    with pytest.raises(UserError, match=r"0\.rgb holds 100 bytes, the model takes 6144"):
        open_bundle(bundle.path)


def test_a_picture_that_is_none_is_refused(bundle: Bundle) -> None:
    (bundle.root / "golden" / "1.png").write_bytes(b"no picture")
    write_checksums(bundle.root)
    with pytest.raises(UserError, match="cannot decode image of a golden case"):
        open_bundle(bundle.path).golden(bundle.files[0])


def test_cases_that_do_not_fit_are_not_written(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "other.mobiledet"
    sources = [(bundle.root / NAMES[0], bundle.files[0])]
    with pytest.raises(UserError, match="has no outputs"):
        write_bundle(path, SPEC, sources, golden(NAMES[1:]))
    many = Detections(np.zeros((2, 4), np.float32), np.array([0.5, 0.25], np.float32), np.array([0, 7]))
    wrong = GoldenFile((GoldenOutputs.of(many, 32, 64),) * 2, "x", Tolerance(0.9, 0.1), Tolerance(0.9, 0.1))
    with pytest.raises(UserError, match=r"a class is not in 0\.\.1"):
        write_bundle(path, SPEC, sources, Golden(golden().cases, {NAMES[0]: wrong}))
    assert not path.exists()


FILES = [
    "SHA256SUMS",
    "bundle.json",
    "labels.txt",
    "golden/golden.json",
    "golden/0.rgb",
    "golden/1.png",
    "model.float32.tflite",
    "model.float16.mlpackage/Data/weights.bin",
]


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_anywhere_is_found(bundle: Bundle, name: str) -> None:
    path = bundle.root / name
    content = bytearray(path.read_bytes())
    position = len(content) // 2
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"tiny\.mobiledet.* (has changed|is missing|is no checksum)") as error:
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
    for position in range(0, len(content), 23):
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
    assert refused > len(content) / 23 / 2


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt"])
def test_a_zip_cannot_write_outside(bundle: Bundle, tmp_path: Path, name: str) -> None:
    path = zipped(bundle, tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "evil")
    with pytest.raises(UserError, match="points outside the bundle"):
        open_bundle(path)


def test_a_listed_file_cannot_lie_outside(bundle: Bundle, tmp_path: Path) -> None:
    sums = bundle.root / "SHA256SUMS"
    sound = sums.read_text()
    sums.write_text(sound + f"{hashlib.sha256(b'weights' * 100).hexdigest()}  ../a.tflite\n")
    with pytest.raises(UserError, match=r"'\.\./a\.tflite' points outside the bundle"):
        open_bundle(bundle.path)
    listing = json.loads((bundle.root / "bundle.json").read_text())
    listing["files"][0]["path"] = "../a.tflite"
    (bundle.root / "bundle.json").write_text(json.dumps(listing))
    write_checksums(bundle.root)
    with pytest.raises(UserError, match=r"'\.\./a\.tflite' points outside the bundle"):
        open_bundle(bundle.path)


@pytest.mark.parametrize("name", ["notes.txt", "golden/2.png", "model.float16.mlpackage/Data/more.bin", ".DS_Store"])
def test_a_file_that_is_not_listed_is_named(bundle: Bundle, name: str) -> None:
    (bundle.root / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"holds {re.escape(name)}, which SHA256SUMS does not list"):
        open_bundle(bundle.path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.upper(), "line 1 of SHA256SUMS is not a checksum and a path"),
        (lambda text: text.replace("  ", " ", 1), "line 1 of SHA256SUMS is not a checksum and a path"),
        (lambda text: text.replace("\n", "\r\n"), "line 1 of SHA256SUMS is not a checksum and a path"),
        (lambda text: text[:-1], "of SHA256SUMS is not a checksum and a path"),
        (lambda text: text + "\n", "of SHA256SUMS is not a checksum and a path"),
        (lambda text: "# sums\n" + text, "line 1 of SHA256SUMS is not a checksum and a path"),
        (lambda text: text + text.splitlines()[0] + "\n", "lists bundle.json twice"),
        (lambda text: text + "0" * 64 + "  SHA256SUMS\n", "lists SHA256SUMS twice, or itself"),
        (lambda text: text + "0" * 64 + "  /etc/hostname\n", "points outside the bundle"),
        (lambda text: text + "0" * 64 + "  absent\n", "absent is missing"),
        (lambda text: text + "0" * 64 + "  golden\n", "golden is missing"),
        (lambda text: "", "holds bundle.json, which SHA256SUMS does not list"),
        (lambda text: "\n".join(text.splitlines()[1:]) + "\n", "holds bundle.json, which SHA256SUMS does not list"),
    ],
)
def test_faults_of_the_list(bundle: Bundle, change: Callable[[str], str], reason: str) -> None:
    path = bundle.root / "SHA256SUMS"
    path.write_bytes(change(path.read_text()).encode())
    with pytest.raises(UserError, match=re.escape(reason)) as error:
        open_bundle(bundle.path)
    assert "\n" not in str(error.value)


def test_a_link_out_of_the_bundle_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    model = bundle.root / "model.float32.tflite"
    shutil.move(model, tmp_path / "elsewhere.tflite")
    model.symlink_to(tmp_path / "elsewhere.tflite")
    with pytest.raises(UserError, match="is a link to outside the bundle"):
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
        write_bundle(bundle.path, SPEC, [], golden(()))
    assert open_bundle(bundle.path).sha256 == bundle.sha256
    assert write_bundle(bundle.path, SPEC, [], golden(()), overwrite=True).files == ()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
